from pathlib import Path

import pytest

from deposit.errors import ConfigError
from deposit.settings import load_settings, setting_names


def test_environment_overrides_the_stacks_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "settings.env").write_text('DEPOSIT_TRAIN__TRIALS="3"\nDEPOSIT_TRAIN__SEED="4"\n')
    monkeypatch.setenv("DEPOSIT_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("DEPOSIT_TRAIN__SEED", "5")
    train = load_settings().train
    assert (train.trials, train.seed) == (3, 5)


@pytest.mark.parametrize("name", ["DEPOSIT_TRIALS", "DEPOSIT_TRAIN__TRAILS", "DEPOSIT_TRAIN"])
def test_unknown_names_are_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "1")
    with pytest.raises(ConfigError, match=name):
        load_settings()


def test_a_wrong_value_names_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPOSIT_TRAIN__TEST_SHARE", "0.9")
    with pytest.raises(ConfigError, match="DEPOSIT_TRAIN__TEST_SHARE"):
        load_settings()


def test_secrets_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPOSIT_DATABASE__URL", "postgresql://user:hunter2@host/name")
    assert "hunter2" not in repr(load_settings())


def test_options_of_a_command_are_checked_like_settings() -> None:
    with pytest.raises(ConfigError, match="DEPOSIT_INGEST__SOURCE"):
        load_settings().changed("ingest", source="ftp")


def test_every_setting_has_a_description() -> None:
    assert [name for name, (description, _) in setting_names().items() if not description] == []
