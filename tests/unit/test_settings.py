from collections.abc import Callable
from pathlib import Path

import pytest

from deposit import settings
from deposit.errors import ConfigError
from deposit.settings import (
    RENAMED,
    Settings,
    chosen_settings,
    load_settings,
    service_settings,
    setting_names,
    variables,
)
from deposit.variables import file_of


def test_environment_overrides_the_stacks_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "settings.env").write_text('DEPOSIT_TRAIN__TRIALS="3"\nDEPOSIT_TRAIN__SEED="4"\n')
    monkeypatch.setenv("DEPOSIT_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("DEPOSIT_TRAIN__SEED", "5")
    train = load_settings().train
    assert (train.trials, train.seed) == (3, 5)


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("DEPOSIT_TRIALS", r"did you mean DEPOSIT_TRAIN__TRIALS\?"),
        ("DEPOSIT_TRAIN__TRAILS", r"did you mean DEPOSIT_TRAIN__TRIALS\?"),
        ("DEPOSIT_train__trails", r"did you mean DEPOSIT_TRAIN__TRIALS\?"),
        ("DEPOSIT_NO_SUCH_THING", r"docs/settings\.md lists the names"),
    ],
)
def test_unknown_names_are_refused_with_what_is_perhaps_meant(
    name: str, advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "1")
    with pytest.raises(ConfigError, match=f"unknown setting {name}: {advice}"):
        load_settings()


@pytest.mark.parametrize("around", [" {} ", "{}\r", "\t{}"])
def test_blanks_around_a_value_are_no_part_of_it(around: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"STATE_DIR": str(tmp_path), "STORE__REGION": "eu-west-1", "INGEST__ACCEPT": '["gaps"]', "API__KEY": "k"}
    for name, value in given.items():
        monkeypatch.setenv(f"DEPOSIT_{name}", around.format(value))
    for name in ("MLFLOW__TRACKING_URI", "TRAIN__TRIALS", "INGEST__PATH", "STORE__SECRET_KEY"):
        monkeypatch.setenv(f"DEPOSIT_{name}", around.format(""))
    assert variables(chosen_settings()) == {f"DEPOSIT_{name}": value for name, value in given.items()}


@pytest.mark.parametrize("name", ["STORE__REGION", "TRAIN__TRIALS", "STORE__SECRET_KEY", "INGEST__PATH", "STATE_DIR"])
@pytest.mark.parametrize("quote", ['"', "'"])
def test_a_value_in_quotes_is_refused_by_name(name: str, quote: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"DEPOSIT_{name}", f"{quote}12{quote}")
    with pytest.raises(ConfigError, match=f"DEPOSIT_{name}.*in quotes") as caught:
        chosen_settings()
    assert "12" not in str(caught.value)


def test_a_wrong_value_names_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPOSIT_TRAIN__LABEL_DELAY", "-1")
    with pytest.raises(ConfigError, match="DEPOSIT_TRAIN__LABEL_DELAY"):
        load_settings()


@pytest.mark.parametrize("limit", ["lots", "1", "5m", "1 GiB", "-1g", "0", "1t"])
def test_a_limit_that_no_engine_takes_is_refused_by_name(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPOSIT_RELEASE__MEMORY_LIMIT", limit)
    with pytest.raises(ConfigError, match=r"DEPOSIT_RELEASE__MEMORY_LIMIT: .*like 512m or 2g"):
        load_settings()


@pytest.mark.parametrize("limit", ["6m", "512M", "1.5g", "2GB", "1073741824", "8388608b"])
def test_a_limit_is_written_as_dockers_own(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPOSIT_RELEASE__MEMORY_LIMIT", limit)
    assert load_settings().release.memory_limit == limit


@pytest.mark.parametrize(
    ("name", "port"), [("AIRFLOW_PORT", "70000"), ("GATEWAY_PORT", "0"), ("INTERNAL_PORT", "65530")]
)
def test_a_port_that_there_is_not_is_refused_by_name(name: str, port: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"DEPOSIT_STACK__{name}", port)
    with pytest.raises(ConfigError, match=f"DEPOSIT_STACK__{name}: Input should be (less|greater) than or equal to"):
        load_settings()


def test_secrets_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPOSIT_DATABASE__URL", "postgresql://user:hunter2@host/name")
    assert "hunter2" not in repr(load_settings())


def test_options_of_a_command_are_checked_like_settings() -> None:
    with pytest.raises(ConfigError, match="DEPOSIT_INGEST__SOURCE"):
        load_settings().changed("ingest", source="ftp")


def test_every_setting_has_a_description() -> None:
    assert [name for name, (description, _) in setting_names().items() if not description] == []


def test_a_value_may_be_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_text(" s3cret\n")
    (tmp_path / "trials").write_text("3\n")
    (tmp_path / "settings.env").write_text('DEPOSIT_STORE__SECRET_KEY="old"\nDEPOSIT_STORE__ACCESS_KEY="kept"\n')
    monkeypatch.setenv("DEPOSIT_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("DEPOSIT_STORE__SECRET_KEY_FILE", str(tmp_path / "secret"))
    monkeypatch.setenv("DEPOSIT_TRAIN__TRIALS_FILE", str(tmp_path / "trials"))
    monkeypatch.setenv("DEPOSIT_TRAIN__SEED", "5")
    loaded = load_settings()
    assert loaded.store.secret_key is not None
    assert loaded.store.secret_key.get_secret_value() == "s3cret"
    assert (loaded.store.access_key, loaded.train.trials, loaded.train.seed) == ("kept", 3, 5)


def test_the_state_folder_may_be_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "where").write_text(str(tmp_path))
    (tmp_path / "settings.env").write_text('DEPOSIT_TRAIN__SEED="4"\n')
    monkeypatch.delenv("DEPOSIT_STATE_DIR")
    monkeypatch.setenv("DEPOSIT_STATE_DIR_FILE", str(tmp_path / "where"))
    assert (load_settings().train.seed, load_settings().state_dir) == (4, tmp_path)


def test_a_setting_that_is_a_file_is_not_taken_for_a_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPOSIT_SERVE__KEYS_FILE", str(tmp_path / "keys.json"))
    assert load_settings().serve.keys_file == tmp_path / "keys.json"


def test_a_value_and_its_file_cannot_both_be_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_text("in the file")
    monkeypatch.setenv("DEPOSIT_STORE__SECRET_KEY", "in the variable")
    monkeypatch.setenv("DEPOSIT_STORE__SECRET_KEY_FILE", str(tmp_path / "secret"))
    with pytest.raises(ConfigError, match="both set") as caught:
        load_settings()
    assert "in the" not in str(caught.value)


@pytest.mark.parametrize("content", [None, b"", b" \n", b"\xff\xfe"])
def test_a_file_that_gives_no_value_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / "secret").write_bytes(content)
    monkeypatch.setenv("DEPOSIT_STORE__SECRET_KEY_FILE", str(tmp_path / "secret"))
    with pytest.raises(ConfigError, match=r"DEPOSIT_STORE__SECRET_KEY_FILE.*secret"):
        load_settings()


@pytest.mark.parametrize("name", ["DEPOSIT_TRAIN__TRAILS_FILE", "DEPOSIT_FILE", "DEPOSIT_TRAIN_FILE"])
def test_unknown_names_by_file_are_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, str(tmp_path))
    with pytest.raises(ConfigError, match=name):
        load_settings()


def test_a_service_does_not_read_the_stacks_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "settings.env").write_text('DEPOSIT_STORE__SECRET_KEY="pipeline"\n')
    monkeypatch.setenv("DEPOSIT_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("DEPOSIT_SERVE__BURST", "7")
    service = service_settings()
    assert service.store.secret_key is None
    assert (service.state_dir, service.serve.burst) == (tmp_path, 7)


def test_a_service_starts_though_a_newer_releaser_gives_it_names_that_it_does_not_know(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DEPOSIT_SERVE__OF_TOMORROW", "1")
    monkeypatch.setenv("DEPOSIT_SERVE__MAX_CUSTOMERS", "5")
    assert service_settings().serve.max_customers == 5


def test_what_a_stack_has_written_is_read_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    query = """SELECT '${HOME}', "a#b" -- \\n"""
    monkeypatch.setenv("DEPOSIT_INGEST__QUERY", query)
    monkeypatch.setenv("DEPOSIT_INGEST__KAGGLE_TOKEN", "me:s3cret")
    monkeypatch.setenv("DEPOSIT_GATEWAY__NAMES", '["bank.example"]')
    given = chosen_settings()
    (tmp_path / "settings.env").write_text(file_of(variables(given)))
    for name in variables(given):
        monkeypatch.delenv(name)
    monkeypatch.setenv("DEPOSIT_STATE_DIR", str(tmp_path))
    again = load_settings()
    assert (again.ingest, again.gateway) == (given.ingest, given.gateway)
    assert chosen_settings().ingest.query is None  # what a stack was started with before is not what is chosen now


def test_what_is_as_by_default_is_no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPOSIT_TRAIN__TRIALS", "20")
    monkeypatch.setenv("DEPOSIT_TRAIN__SEED", "8")
    monkeypatch.setenv("DEPOSIT_API__KEY", "s3cret")
    names = variables(chosen_settings())
    assert names == {
        "DEPOSIT_STATE_DIR": names["DEPOSIT_STATE_DIR"],
        "DEPOSIT_TRAIN__SEED": "8",
        "DEPOSIT_API__KEY": "s3cret",
    }
    assert "DEPOSIT_API__KEY" not in variables(chosen_settings(), with_secrets=False)


@pytest.mark.parametrize("line", ["DEPOSIT_TRAIN__SEED=4", 'DEPOSIT_TRAIN__SEED="4', "DEPOSIT_TRAIN__SEED"])
def test_a_damaged_file_of_a_stack_is_named_with_its_line(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "settings.env").write_text(f'DEPOSIT_TRAIN__TRIALS="3"\n{line}\n')
    monkeypatch.setenv("DEPOSIT_STATE_DIR", str(tmp_path))
    with pytest.raises(ConfigError, match=r"settings\.env is damaged in line 2"):
        load_settings()


def test_a_list_that_is_no_json_is_refused_with_how_to_write_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPOSIT_GATEWAY__NAMES", "bank.example")
    with pytest.raises(ConfigError, match=r"must be JSON.*DEPOSIT_GATEWAY__NAMES"):
        load_settings()


def test_a_file_is_where_it_was_given_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DEPOSIT_MONITOR__WORKSPACE", "reports")
    assert chosen_settings().workspace_path == tmp_path / "reports"


@pytest.mark.parametrize(
    ("listen", "url"),
    [("0.0.0.0", "127.0.0.1:8000"), ("::", "[::1]:8000"), ("::1", "[::1]:8000"), ("10.0.0.1", "10.0.0.1:8000")],
)
def test_the_gateway_is_asked_where_it_listens(listen: str, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPOSIT_GATEWAY__LISTEN", listen)
    assert chosen_settings().gateway_url == f"http://{url}"


OLD, NEW = "DEPOSIT_TRAIN__CALL_COST", "DEPOSIT_ECONOMICS__CALL_COST"
Reader = Callable[[], Settings]


@pytest.fixture
def first_notice() -> None:
    """As in a process that has given no notice yet."""
    settings._notice.cache_clear()


@pytest.mark.usefixtures("first_notice")
@pytest.mark.parametrize("by_file", [False, True])
@pytest.mark.parametrize("reader", [load_settings, chosen_settings])
def test_an_old_name_is_taken_with_one_notice_that_names_the_new(
    reader: Reader, by_file: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "cost").write_text("2.5\n")
    monkeypatch.setenv(f"{OLD}_FILE" if by_file else OLD, str(tmp_path / "cost") if by_file else "2.5")

    assert [reader().economics.call_cost for _ in range(2)] == [2.5, 2.5]
    (notice,) = caplog.messages
    assert notice.startswith(f"{OLD} is now called {NEW}")
    assert variables(reader())[NEW] == "2.5"


@pytest.mark.parametrize("reader", [load_settings, chosen_settings, service_settings])
def test_an_old_and_a_new_name_with_different_values_are_refused(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(OLD, "2.5")
    monkeypatch.setenv(NEW, "3")
    with pytest.raises(ConfigError, match=f"{OLD} is the old name of {NEW}.*remove {OLD}"):
        reader()
    monkeypatch.setenv(NEW, "2.50")
    assert reader().economics.call_cost == 2.5


def test_what_a_stack_of_before_has_written_counts_less_than_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "settings.env").write_text(f'{OLD}="2.5"\nDEPOSIT_TRAIN__DEPOSIT_VALUE="7"\n')
    monkeypatch.setenv("DEPOSIT_STATE_DIR", str(tmp_path))
    monkeypatch.setenv(NEW, "3")
    assert (load_settings().economics.call_cost, load_settings().economics.deposit_value) == (3.0, 7.0)
    assert caplog.messages == []  # nobody set it today: the next `up` writes the new name


@pytest.mark.parametrize("name", RENAMED)
def test_an_old_name_is_no_setting_any_more(name: str) -> None:
    assert name not in setting_names()
    assert RENAMED[name] in setting_names()


def test_an_empty_old_name_sets_nothing(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv(OLD, "")
    assert load_settings().economics.call_cost == 1.0
    assert caplog.messages == []
