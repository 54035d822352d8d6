import stat
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import SecretStr

from deposit.errors import ConfigError
from deposit.keys import digest
from deposit.release.repository import Release
from deposit.release.targets.environment import service_variables
from deposit.release.targets.process import ProcessTarget
from deposit.sections import EconomicsSettings, ReleaseSettings, ServeSettings, StoreSettings
from deposit.settings import RENAMED, Settings, service_settings

SECRETS = {"store": "s3cret-of-services", "pipeline": "s3cret-of-pipeline", "key": "deposit_releaser"}

NOW = datetime.now(UTC)
RELEASE = Release(
    1, "release", "deposit-v1", "", "deposit:v1", "s3://b/k", "0" * 64, "live", "", "process", None, NOW, NOW
)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        state_dir=tmp_path,
        store=StoreSettings(
            endpoint_url="http://127.0.0.1:9000", access_key="pipeline", secret_key=SecretStr(SECRETS["pipeline"])
        ),
        release=ReleaseSettings(
            service_key=SecretStr(SECRETS["key"]),
            store_access_key="serving",
            store_secret_key=SecretStr(SECRETS["store"]),
        ),
        serve=ServeSettings(keys_file=Path("keys.json"), rate_per_second=2.5, models_kept=3),
        economics=EconomicsSettings(deposit_value=12.5, capacity=300),
    )


def test_a_service_understands_what_it_is_sent(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "key").write_text(SECRETS["store"])
    monkeypatch.delenv("DEPOSIT_STATE_DIR")
    for name, value in service_variables(settings, tmp_path / "key").items():
        monkeypatch.setenv(name, value)
    reached = service_settings()
    assert reached.serve.keys_file == Path("keys.json").resolve()  # the service has a working folder of its own
    assert (reached.serve.rate_per_second, reached.serve.models_kept) == (2.5, 3)
    assert reached.serve.releaser_key_sha256 == digest(SECRETS["key"])
    assert reached.catalog_path == settings.catalog_path
    assert (reached.store.endpoint_url, reached.store.access_key) == ("http://127.0.0.1:9000", "serving")
    assert reached.store.secret_key == SecretStr(SECRETS["store"])
    assert reached.economics == settings.economics


def test_prices_reach_a_service_of_before_too_and_one_of_today_without_a_notice(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    variables = service_variables(settings, tmp_path / "key")
    assert variables["DEPOSIT_TRAIN__DEPOSIT_VALUE"] == variables["DEPOSIT_ECONOMICS__DEPOSIT_VALUE"] == "12.5"
    for name in RENAMED:
        monkeypatch.setenv(name, variables[name])
        monkeypatch.setenv(RENAMED[name], variables[RENAMED[name]])
    assert service_settings().economics.deposit_value == 12.5
    assert caplog.messages == []


def test_no_secret_is_passed_on(settings: Settings, tmp_path: Path) -> None:
    variables = str(service_variables(settings, tmp_path / "key"))
    assert not [secret for secret in SECRETS.values() if secret in variables]


def test_without_a_key_of_its_own_a_service_gets_none_of_the_pipelines(tmp_path: Path) -> None:
    store = StoreSettings(access_key="pipeline", secret_key=SecretStr(SECRETS["pipeline"]))
    variables = service_variables(Settings(state_dir=tmp_path, store=store), tmp_path / "key")
    assert not [name for name in variables if name.endswith(("KEY", "KEY_FILE", "KEYS_FILE", "SHA256"))]


def test_the_program_holds_no_secret_and_its_file_is_private(settings: Settings, tmp_path: Path) -> None:
    target = ProcessTarget(settings)
    target._write_store_key()
    program = target._programs_of(RELEASE, [8101]) + target._script(RELEASE, 1)
    assert "DEPOSIT_STORE__SECRET_KEY_FILE=" in program
    assert not [secret for secret in SECRETS.values() if secret in program]
    assert stat.S_IMODE((tmp_path / "serving.key").stat().st_mode) == 0o600
    assert (tmp_path / "serving.key").read_text() == SECRETS["store"]


def test_whatever_a_service_is_started_with_changes_its_digest(settings: Settings) -> None:
    def digest_of(settings: Settings, release: Release = RELEASE) -> str:
        return ProcessTarget(settings).configuration(release)

    changed = (
        settings.changed("serve", max_customers=7),
        settings.changed("serve", keys_file=Path("others.json")),
        settings.changed("economics", call_cost=2.0),
        settings.changed("economics", capacity=500),
        settings.changed("log", reserve_bytes=2**21),
        settings.changed("release", service_key=SecretStr("renewed")),
        settings.changed("release", store_secret_key=SecretStr("renewed")),
    )
    digests = {digest_of(each) for each in (settings, *changed)}
    assert len(digests) == len(changed) + 1
    assert digest_of(settings, replace(RELEASE, bento_sha256="1" * 64)) not in digests
    same = settings.changed("train", trials=3).changed("release", poll_seconds=2.0)
    assert digest_of(same, replace(RELEASE, id=2, kind="renewal")) == digest_of(settings)
    assert not [secret for secret in SECRETS.values() if secret in "".join(digests)]


def test_a_program_tells_what_it_was_started_with(settings: Settings) -> None:
    target = ProcessTarget(settings)
    path = target._program_file(1)
    assert target.started_with(1) is None
    path.write_text("[program:serving-1]\ncommand=/of/an/earlier/version --port 8101\n")
    assert target.started_with(1) is None
    path.write_text(target._programs_of(RELEASE, [8101]))
    assert target.started_with(1) == target.configuration(RELEASE)
    assert target.running() == {1: ("127.0.0.1:8101",)}
    two = ProcessTarget(settings.changed("release", replicas=2))
    path.write_text(two._programs_of(RELEASE, [8101, 8104]))
    assert two.running() == {1: ("127.0.0.1:8101", "127.0.0.1:8104")}
    assert two.started_with(1) == two.configuration(RELEASE) != target.configuration(RELEASE)


def test_a_log_that_only_a_function_has_is_refused_by_name(settings: Settings) -> None:
    with pytest.raises(ConfigError, match="DEPOSIT_LOG__DESTINATION=database is for a function"):
        service_variables(settings.changed("log", destination="database"), Path("key"))
