"""A command ends in one sentence that fits a line; what it lists stands above."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from deposit import console, errors
from deposit.cli import app, stack_commands
from deposit.data.contract import REQUIRED
from deposit.errors import ConfigError, DepositError, located
from deposit.settings import REPOSITORY

MOST = 200
CLASSES = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, DepositError)]
KEPT = re.compile(r"all of them: (\S+)$")


def lines_of(error: DepositError, capsys: pytest.CaptureFixture[str]) -> list[str]:
    def fail() -> None:
        raise error

    with pytest.raises(SystemExit, match="1"):
        console.run(fail)
    return capsys.readouterr().err.splitlines()


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("details", [0, 1, 10, 11, 5000])
@pytest.mark.parametrize("letters", [40, 193, 194, 3000])
def test_each_error_ends_in_one_short_line_below_ten_of_its_details_at_most(
    kind: type[DepositError], details: int, letters: int, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = [f"line {number}: [job] must be known" for number in range(details)]
    sentence = f"the file is wrong {'x' * (letters - 40)} correct it, and again"
    *above, last = lines_of(kind(sentence, listed), capsys)
    assert last.startswith("error: the file is wrong ")
    assert last.endswith(" correct it, and again")
    assert len(last) <= MOST
    if letters > 193:
        assert above.pop() == sentence
    if details > 10:
        kept = KEPT.search(above.pop())
        assert kept is not None
        assert Path(kept[1]).read_text().splitlines() == listed
        Path(kept[1]).unlink()
    assert [line.strip() for line in above] == listed[:10]


def test_a_file_of_another_user_is_named_with_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    def read() -> None:
        raise PermissionError(13, "Permission denied", "/srv/deposit/settings.env")

    with pytest.raises(SystemExit, match="1"):
        console.run(read)
    assert capsys.readouterr().err == (
        "error: /srv/deposit/settings.env: Permission denied: run this as the owner of the stack, or correct the "
        "permissions\n"
    )


@pytest.mark.parametrize(
    ("failure", "line"),
    [
        (
            OSError(28, "No space left on device"),
            "No space left on device: free some space for the stack's data and for temporary files (TMPDIR), and run "
            "the command again",
        ),
        (
            OSError(24, "Too many open files", "/srv/a.csv"),
            "/srv/a.csv: Too many open files: raise this shell's limit for open files (ulimit -n 1024), and run "
            "the command again",
        ),
    ],
)
def test_what_the_machine_refuses_is_one_line(failure: OSError, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    def write() -> None:
        raise failure

    with pytest.raises(SystemExit, match="1"):
        console.run(write)
    assert capsys.readouterr().err == f"error: {line}\n"


def test_an_error_of_the_code_keeps_its_trace() -> None:
    def close() -> None:
        raise OSError(9, "Bad file descriptor")

    with pytest.raises(OSError, match="Bad file descriptor"):
        console.run(close)


def test_a_command_runs_without_a_standard_output() -> None:
    code = "import sys; from deposit import console; assert sys.stdout is None; console.out.print('nobody reads it')"
    closed = ["/bin/sh", "-c", 'exec "$0" -c "$1" >&-', sys.executable, code]
    done = subprocess.run(closed, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_is_kept_elsewhere_is_named_and_not_written_again(capsys: pytest.CaptureFixture[str]) -> None:
    above = lines_of(errors.ContractError("no", ["one"] * 20, "s3://deposit-data/quarantine/a.csv"), capsys)[-2]
    assert above.endswith("and 10 more; all of them: s3://deposit-data/quarantine/a.csv")


def test_where_the_data_is_leaves_the_details_as_they_are() -> None:
    with pytest.raises(errors.ContractError) as caught, located("calls.csv"):
        raise errors.ContractError("no", ["one"], "elsewhere")
    assert (str(caught.value), caught.value.details, caught.value.kept) == ("calls.csv: no", ("one",), "elsewhere")


COMMANDS: dict[str, tuple[list[str], dict[str, str]]] = {
    "an unknown setting": (["status"], {f"DEPOSIT_{'NO_SUCH_' * 20}{number}": "1" for number in range(30)}),
    "a wrong setting": (["status"], {"DEPOSIT_INGEST__SOURCE": "x" * 500}),
    "many wrong settings": (["status"], {"DEPOSIT_INGEST__SOURCE": "x", "DEPOSIT_TRAIN__TRIALS": "y"} | {
        f"DEPOSIT_SERVE__{name}": "-1" for name in ("MAX_RANK_ROWS", "MAX_RANK_BYTES", "MAX_CUSTOMERS")
    }),
    "a list that is none": (["status"], {"DEPOSIT_INGEST__ACCEPT": "macro"}),
    "no database": (["ingest"], {"DEPOSIT_DATABASE__URL": "postgresql+psycopg://a:b@127.0.0.1:1/c"}),
    "no object store": (["ingest"], {"DEPOSIT_STORE__ENDPOINT_URL": "http://127.0.0.1:1"}),
    "no MLflow": (["models"], {"DEPOSIT_MLFLOW__TRACKING_URI": "http://127.0.0.1:1"}),
    "no such dataset": (["train", "--dataset", "x" * 300], {}),
    "no such release": (["rollback"], {}),
    "no such period": (["monitor", "--period", "x" * 300], {}),
}  # fmt: skip


@pytest.mark.parametrize("case", COMMANDS)
def test_each_command_ends_in_one_short_line(case: str, tmp_path: Path) -> None:
    arguments, environment = COMMANDS[case]
    base = {"PATH": "/usr/bin:/bin", "DEPOSIT_STATE_DIR": str(tmp_path), "PYTHONPATH": str(REPOSITORY / "plugins")}
    command = [sys.executable, "-c", "from deposit.cli import main; main()", *arguments]
    done = subprocess.run(command, env=base | environment, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode in (1, 2), done.stderr
    assert "Traceback" not in done.stderr
    *above, last = done.stderr.rstrip().splitlines()
    assert len(last) <= MOST
    assert last.startswith("error: ") or done.returncode == 2
    assert sum(line.startswith("  ") for line in above) <= 11


def test_names_of_columns_stand_above_where_a_sentence_does_not_hold_them() -> None:
    from deposit.data.contract import check_columns

    for names in (["age"], [*REQUIRED, *(f"column {number} {'x' * 60}" for number in range(300))], [*REQUIRED * 2]):
        with pytest.raises(errors.ContractError) as caught:
            check_columns(names)
        assert len(str(caught.value)) <= MOST - len("error: ")
        assert len(caught.value.details) > 10


@pytest.mark.parametrize("command", ["up", "down", "status", "env", "doctor", "demo"])
def test_an_image_refuses_what_is_for_the_stack_without_docker(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack_commands, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=rf"`deposit {command}` is for the stack without Docker"):
        app([command], standalone_mode=False)
