import logging
import os
from pathlib import Path

import pytest

from deposit import keys
from deposit.sections import ServeSettings
from serving import documents
from serving.access import Access, Client, RateLimiter
from serving.problems import RequestError

ROLES = frozenset({"predict", "outcomes", "admin"})


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


def _access(file: Path | None, clock: Clock, **limits: object) -> Access:
    return Access(ServeSettings.model_validate({"keys_file": file, **limits}), clock)


def _bearer(key: str) -> dict[bytes, bytes]:
    return {b"authorization": f"Bearer {key}".encode()}


def _refused(access: Access, headers: dict[bytes, bytes], role: str = "predict") -> RequestError:
    with pytest.raises(RequestError) as refusal:
        access.authorise(headers, role)
    return refusal.value


def test_without_a_keys_file_anybody_may_do_anything(clock: Clock) -> None:
    access = _access(None, clock)
    for role in ("predict", "outcomes", "admin"):
        client = access.authorise({}, role)
        assert (client.name, client.roles) == ("anonymous", ROLES)
        assert client.max_body_bytes > 2**60
    assert access.authorise({b"authorization": b"nonsense"}, "predict").name == "anonymous"


def test_a_key_tells_who_asks(file: Path, clock: Clock) -> None:
    _, secret = keys.add(file, "marketing", ["predict"], max_body_bytes=5000)
    assert _access(file, clock).authorise(_bearer(secret), "predict") == Client(
        "marketing", frozenset({"predict"}), 5000
    )


@pytest.mark.parametrize("scheme", [b"bearer", b"BEARER", b"Bearer", b"bEaReR   "])
def test_the_schemes_case_and_blanks_do_not_matter(file: Path, clock: Clock, scheme: bytes) -> None:
    secret = keys.add(file, "marketing", ["predict"])[1].encode()
    header = scheme + b" " + secret + b" "
    assert _access(file, clock).authorise({b"authorization": header}, "predict").name == "marketing"


def test_each_key_is_distinguished_from_the_others(file: Path, clock: Clock) -> None:
    made = {name: keys.add(file, name, ["predict"])[1] for name in ("a", "b", "c", "d")}
    access = _access(file, clock)
    assert {name: access.authorise(_bearer(secret), "predict").name for name, secret in made.items()} == {
        name: name for name in made
    }


def _wrong(secret: str) -> list[bytes]:
    key = secret.encode()
    wrong = [key + b"x", key[:-1], key.upper(), b"x" * 100_000, b"\xff\xfe", key + b", Bearer " + key, b""]
    return [b"", b"Bearer", b"Basic " + key, key, b"Bearer" + key, *(b"Bearer " + token for token in wrong)]


def test_without_a_good_key_nobody_is_answered(file: Path, clock: Clock) -> None:
    _, secret = keys.add(file, "marketing", ["predict"])
    access = _access(file, clock)
    for headers in [{}, *({b"authorization": header} for header in _wrong(secret))]:
        refusal = _refused(access, headers)
        assert refusal.status == 401, headers
        assert refusal.headers == ((b"www-authenticate", b"Bearer"),)
        assert secret[:-1] not in refusal.problems[0].message


def test_a_missing_role_is_named(file: Path, clock: Clock) -> None:
    _, secret = keys.add(file, "marketing", ["predict"])
    access = _access(file, clock)
    refusal = _refused(access, _bearer(secret), "outcomes")
    assert refusal.status == 403
    assert "outcomes" in refusal.problems[0].message
    assert "marketing" in refusal.problems[0].message


def test_an_admin_may_do_everything(file: Path, clock: Clock) -> None:
    _, secret = keys.add(file, "bank", ["admin"])
    for role in ROLES:
        assert _access(file, clock).authorise(_bearer(secret), role).roles == ROLES


def test_what_is_open_to_all_needs_no_key(file: Path, clock: Clock) -> None:
    keys.add(file, "marketing", ["predict"])
    access = _access(file, clock, rate_per_second=0.001, burst=1)
    for _ in range(5):
        assert access.authorise({}, None) == Client("anonymous", frozenset(), access.authorise({}, None).max_body_bytes)


def test_the_releaser_is_known_by_its_sha256(file: Path, clock: Clock) -> None:
    keys.add(file, "marketing", ["predict"])
    secret = keys.new_key()
    access = _access(file, clock, releaser_key_sha256=keys.digest(secret), rate_per_second=0.001, burst=1)
    for _ in range(5):
        assert access.authorise(_bearer(secret), "predict").name == "releaser"
    assert _refused(_access(file, clock), _bearer(secret)).status == 401


def test_changes_of_the_file_are_seen_within_a_second(file: Path, clock: Clock) -> None:
    _, first = keys.add(file, "first", ["predict"])
    access = _access(file, clock)
    access.authorise(_bearer(first), "predict")
    _, second = keys.add(file, "second", ["predict"])
    assert _refused(access, _bearer(second)).status == 401
    clock.now += 1
    assert access.authorise(_bearer(second), "predict").name == "second"
    keys.remove(file, "first")
    clock.now += 1
    assert _refused(access, _bearer(first)).status == 401


def test_between_two_looks_the_file_is_not_touched(file: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    _, secret = keys.add(file, "marketing", ["predict"])
    access = _access(file, clock)
    looks = []
    signature = documents._signature
    monkeypatch.setattr(documents, "_signature", lambda path: looks.append(path) or signature(path))
    for _ in range(100):
        access.authorise(_bearer(secret), "predict")
    assert len(looks) == 1
    clock.now += 1
    access.authorise(_bearer(secret), "predict")
    assert len(looks) == 2


def test_an_open_file_is_open_until_the_first_key(file: Path, clock: Clock) -> None:
    keys.make_open(file)
    access = _access(file, clock)
    assert access.authorise({}, "admin").name == "anonymous"
    _, secret = keys.add(file, "marketing", ["predict"])
    clock.now += 1
    assert _refused(access, {}).status == 401
    assert access.authorise(_bearer(secret), "predict").name == "marketing"


def test_a_list_without_keys_refuses_all(file: Path, clock: Clock) -> None:
    keys.add(file, "marketing", ["predict"])
    keys.remove(file, "marketing")
    assert _refused(_access(file, clock), {}).status == 401


@pytest.mark.parametrize("content", [None, b"", b"{", b'{"keys": [{}]}'])
def test_a_file_that_cannot_be_read_opens_nothing(
    file: Path, clock: Clock, content: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    if content is not None:
        file.write_bytes(content)
    access = _access(file, clock)
    for _ in range(3):
        refusal = _refused(access, _bearer(keys.new_key()))
        assert refusal.status == 503
        assert (b"retry-after", b"5") in refusal.headers
        assert str(file) not in refusal.problems[0].message
        clock.now += 1
    loud = [record for record in caplog.records if record.levelno == logging.CRITICAL]
    assert len(loud) == 1
    assert str(file) in loud[0].getMessage()
    _, secret = _anew(file)
    clock.now += 1
    assert access.authorise(_bearer(secret), "predict").name == "marketing"


def _anew(file: Path) -> tuple[keys.Key, str]:
    file.unlink(missing_ok=True)
    return keys.add(file, "marketing", ["predict"])


@pytest.mark.parametrize("loss", ["damaged", "missing", "a folder"])
def test_the_last_good_keys_stay_good(file: Path, clock: Clock, loss: str, caplog: pytest.LogCaptureFixture) -> None:
    _, secret = keys.add(file, "marketing", ["predict"])
    access = _access(file, clock)
    access.authorise(_bearer(secret), "predict")
    good = file.read_bytes()
    _lose(file, loss)
    for _ in range(3):
        clock.now += 1
        assert access.authorise(_bearer(secret), "predict").name == "marketing"
        assert _refused(access, {}).status == 401
        assert _refused(access, _bearer(keys.new_key())).status == 401
    assert len(caplog.records) == 1
    if loss == "a folder":
        file.rmdir()
    file.write_bytes(good)
    clock.now += 1
    assert access.authorise(_bearer(secret), "predict").name == "marketing"


@pytest.mark.parametrize("loss", ["damaged", "missing", "a folder"])
def test_an_open_file_that_is_lost_closes_the_service(file: Path, clock: Clock, loss: str) -> None:
    keys.make_open(file)
    access = _access(file, clock)
    access.authorise({}, "predict")
    _lose(file, loss)
    clock.now += 1
    assert _refused(access, {}).status == 503


def _lose(file: Path, how: str) -> None:
    if how == "damaged":
        file.write_bytes(file.read_bytes()[:-5])
        return
    file.unlink()
    if how == "a folder":
        file.mkdir()


def test_a_file_that_comes_back_unchanged_is_sound_again(file: Path, clock: Clock) -> None:
    keys.make_open(file)
    access = _access(file, clock)
    access.authorise({}, "predict")
    aside = file.with_name("aside")
    os.link(file, aside)
    file.unlink()
    clock.now += 1
    assert _refused(access, {}).status == 503
    aside.rename(file)
    clock.now += 1
    assert access.authorise({}, "predict").name == "anonymous"


def test_replicas_together_let_through_what_is_set(file: Path, clock: Clock) -> None:
    _, secret = keys.add(file, "marketing", ["predict"])
    limits = ServeSettings(keys_file=file, rate_per_second=4, burst=6)
    replicas = [Access(limits, clock, replicas=2) for _ in range(2)]
    for _ in range(3):
        for access in replicas:
            access.authorise(_bearer(secret), "predict")
    assert [_refused(access, _bearer(secret)).status for access in replicas] == [429, 429]
    clock.now += 0.5
    for access in replicas:
        access.authorise(_bearer(secret), "predict")
        assert "may send 4 a second" in _refused(access, _bearer(secret)).problems[0].message


def test_a_rate_lets_a_burst_through_and_then_its_rate(file: Path, clock: Clock) -> None:
    _, secret = keys.add(file, "marketing", ["predict"])
    access = _access(file, clock, rate_per_second=2, burst=3)
    for _ in range(3):
        access.authorise(_bearer(secret), "predict")
    refusal = _refused(access, _bearer(secret))
    assert refusal.status == 429
    assert refusal.headers == ((b"retry-after", b"1"),)
    clock.now += 0.5
    access.authorise(_bearer(secret), "predict")
    assert _refused(access, _bearer(secret)).status == 429
    clock.now += 1000
    for _ in range(3):
        access.authorise(_bearer(secret), "predict")
    assert _refused(access, _bearer(secret)).status == 429


def test_retry_after_is_long_enough(clock: Clock) -> None:
    access = _access(None, clock, rate_per_second=0.1, burst=1)
    access.authorise({}, "predict")
    ((_, seconds),) = _refused(access, {}).headers
    assert seconds == b"10"
    clock.now += int(seconds)
    assert access.authorise({}, "predict").name == "anonymous"


def test_each_key_has_its_own_rate(file: Path, clock: Clock) -> None:
    slow = keys.add(file, "slow", ["predict"], rate_per_second=1)[1]
    free = keys.add(file, "free", ["predict"], rate_per_second=0)[1]
    usual = keys.add(file, "usual", ["predict"])[1]
    access = _access(file, clock, rate_per_second=5, burst=1)
    for secret in (slow, usual):
        access.authorise(_bearer(secret), "predict")
        assert _refused(access, _bearer(secret)).status == 429
    for _ in range(50):
        access.authorise(_bearer(free), "predict")
    clock.now += 0.2
    access.authorise(_bearer(usual), "predict")
    assert _refused(access, _bearer(slow)).status == 429


def test_without_a_rate_there_is_no_limit(clock: Clock) -> None:
    access = _access(None, clock, burst=1)
    for _ in range(1000):
        access.authorise({}, "predict")


def test_refused_requests_take_no_tokens(file: Path, clock: Clock) -> None:
    _, secret = keys.add(file, "marketing", ["predict"])
    access = _access(file, clock, rate_per_second=1, burst=1)
    for _ in range(10):
        assert _refused(access, _bearer(secret), "outcomes").status == 403
        assert _refused(access, {}).status == 401
    access.authorise(_bearer(secret), "predict")


def test_keys_never_reach_a_log(file: Path, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    _, secret = keys.add(file, "marketing", ["predict"])
    access = _access(file, clock, rate_per_second=1, burst=1)
    access.authorise(_bearer(secret), "predict")
    _refused(access, _bearer(secret))
    _refused(access, _bearer(secret + "x"))
    file.write_text(f"{{{secret}")
    clock.now += 1
    access.authorise(_bearer(secret), "predict")
    assert caplog.records
    assert secret not in caplog.text


def test_buckets_of_revoked_keys_are_forgotten(clock: Clock) -> None:
    buckets = RateLimiter(1, clock)
    assert buckets.acquire("a", 1) == 0
    buckets.keep({"b"})
    assert buckets.acquire("a", 1) == 0
    assert buckets.acquire("a", 1) == pytest.approx(1)
