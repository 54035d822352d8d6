import json
import re
import stat
import threading
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deposit import keys
from deposit.cli import app
from deposit.errors import ConfigError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


def test_a_key_has_256_random_bits_and_is_kept_nowhere(file: Path) -> None:
    made, secret = keys.add(file, "marketing", ["predict"])
    assert re.fullmatch(r"deposit_[A-Za-z0-9_-]{43}", secret)
    assert secret not in file.read_text()
    assert secret.removeprefix("deposit_") not in file.read_text()
    assert made.sha256 == keys.digest(secret)
    assert keys.read(file).keys == (made,)
    assert keys.add(file, "other", ["predict"])[1] != secret


def test_the_file_is_for_its_owner_alone(file: Path) -> None:
    keys.add(file, "marketing", ["predict"])
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    keys.add(file, "bank", ["outcomes", "predict", "outcomes"], rate_per_second=5, max_body_bytes=1000)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert sorted(path.name for path in file.parent.iterdir()) == ["keys.json", "keys.json.lock"]
    bank = keys.read(file).keys[1]
    assert (bank.roles, bank.rate_per_second, bank.max_body_bytes) == (("outcomes", "predict"), 5, 1000)


def test_a_revoked_key_is_gone_and_the_file_stays_closed(file: Path) -> None:
    keys.add(file, "marketing", ["predict"])
    assert keys.remove(file, "marketing").name == "marketing"
    assert keys.read(file) == keys.KeysFile(open=False, keys=())


def test_the_first_key_closes_an_open_file(file: Path) -> None:
    assert keys.make_open(file)
    assert keys.read(file).open
    keys.add(file, "marketing", ["predict"])
    assert not keys.read(file).open
    assert not keys.make_open(file)
    assert not keys.read(file).open


@pytest.mark.parametrize("name", ["", "a b", "../x", "x" * 65, "ä", "a\n", "anonymous", "releaser", "-x"])
def test_names_that_would_confuse_a_log_are_refused(file: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="cannot be the name"):
        keys.add(file, name, ["predict"])
    assert not file.exists()


def test_a_name_is_taken_once(file: Path) -> None:
    keys.add(file, "marketing", ["predict"])
    with pytest.raises(ConfigError, match="already"):
        keys.add(file, "marketing", ["outcomes"])
    assert len(keys.read(file).keys) == 1


@pytest.mark.parametrize(
    ("roles", "rate", "body"),
    [(["root"], None, None), ([], None, None), (["predict"], -1, None), (["predict"], float("nan"), None),
     (["predict"], float("inf"), None), (["predict"], None, 0)],
)  # fmt: skip
def test_wrong_roles_and_limits_are_refused(file: Path, roles: list[str], rate: float | None, body: int | None) -> None:
    with pytest.raises(ConfigError, match="predict"):
        keys.add(file, "marketing", roles, rate, body)
    assert not file.exists()


def test_what_is_not_there_is_reported(file: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        keys.remove(file, "marketing")
    keys.add(file, "marketing", ["predict"])
    with pytest.raises(ConfigError, match="there is no key bank"):
        keys.remove(file, "bank")


def _listed(**changes: object) -> dict[str, object]:
    return {"name": "a", "sha256": "0" * 64, "roles": ["predict"], "created": "2026-01-01T00:00:00+00:00", **changes}


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"[]", b"null", b"\xff", b"[" * 100_000,
        json.dumps({"format": 2, "keys": []}).encode(),
        json.dumps({"open": True, "keys": [_listed()]}).encode(),
        json.dumps({"keys": [_listed(), _listed()]}).encode(),
        json.dumps({"keys": [_listed(roles=["root"])]}).encode(),
        json.dumps({"keys": [_listed(sha256="short")]}).encode(),
        json.dumps({"keys": [_listed(key="deposit_secret")]}).encode(),
        json.dumps({"kees": []}).encode(),
    ],
)  # fmt: skip
def test_a_damaged_file_is_refused_and_never_replaced(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    for use in (lambda: keys.read(file), lambda: keys.add(file, "marketing", ["predict"])):
        with pytest.raises(ConfigError, match="damaged") as caught:
            use()
        assert "deposit_secret" not in str(caught.value)
    assert file.read_bytes() == content


def test_keys_made_at_the_same_time_are_all_kept(file: Path) -> None:
    makers = [threading.Thread(target=keys.add, args=(file, f"key-{number}", ["predict"])) for number in range(8)]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join()
    assert {key.name for key in keys.read(file).keys} == {f"key-{number}" for number in range(8)}


def test_a_parts_own_key_is_admitted_once_and_replaced_when_it_is_another(file: Path) -> None:
    keys.add(file, "marketing", ["predict"])
    assert keys.admit(file, "releaser", "deposit_1", ["admin"], rate_per_second=0)
    kept = file.read_bytes()
    assert not keys.admit(file, "releaser", "deposit_1", ["admin"], rate_per_second=0)
    assert file.read_bytes() == kept
    assert keys.admit(file, "releaser", "deposit_2", ["admin"], rate_per_second=0)
    assert [(key.name, key.sha256) for key in keys.read(file).keys[1:]] == [("releaser", keys.digest("deposit_2"))]


def test_the_command_prints_a_key_once(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPOSIT_SERVE__KEYS_FILE", str(file))
    run = CliRunner().invoke
    made = run(app, ["keys", "add", "marketing", "--role", "predict", "--role", "outcomes", "--rate", "5"])
    assert made.exit_code == 0, made.output
    secret = made.stdout.strip()
    assert keys.read(file).keys[0].sha256 == keys.digest(secret)
    listed = json.loads(run(app, ["keys", "list", "--json"]).stdout)
    assert [(key["name"], key["roles"], key["rate_per_second"]) for key in listed["keys"]] == [
        ("marketing", ["predict", "outcomes"], 5.0)
    ]
    shown = run(app, ["keys", "list"]).stdout
    assert "marketing" in shown
    assert secret not in shown
    assert json.loads(run(app, ["keys", "remove", "marketing", "--json"]).stdout)["removed"] is True
    bank = json.loads(run(app, ["keys", "add", "bank", "--role", "admin", "--max-body", "2000", "--json"]).stdout)
    assert keys.read(file).keys[0].sha256 == keys.digest(bank["key"])
    assert keys.read(file).keys[0].max_body_bytes == 2000


def test_without_a_file_the_command_says_what_to_set() -> None:
    listing = CliRunner().invoke(app, ["keys", "list"])
    assert isinstance(listing.exception, ConfigError)
    assert "DEPOSIT_SERVE__KEYS_FILE" in str(listing.exception)
