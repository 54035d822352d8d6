"""`make setup` in folders that are moved and with other Pythons, `make up` beside another clone; scripts in the place
of uv and compose tell what they were asked for."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from deposit.deploy import requirements
from deposit.settings import REPOSITORY

UV = (
    '#!/bin/sh\nmkdir -p "$UV_PROJECT_ENVIRONMENT"\necho "$@" >> asked-uv\n'
    'env > "$UV_PROJECT_ENVIRONMENT/environment"\n'
)
COMPOSE = '#!/bin/sh\ncase "$*" in *" ps "*) cat holders;; *) echo "$*" >> asked;; esac\n'


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    folder = tmp_path / "it's ünïcode, 100% #1; clone"
    tools = folder / ".tools" / "bin"
    tools.mkdir(parents=True)
    for name in ("uv.lock", "pyproject.toml"):
        (folder / name).touch()
    shutil.copy(REPOSITORY / "Makefile", folder)
    (tools / "uv").write_text(UV)
    (tools / "uv").chmod(0o755)
    return folder


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`make` as at a prompt, whatever `make` runs the tests; programs of the folder `bin` come first."""
    environment = {
        name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "PYTHON")
    }
    environment["PATH"] = f"{folder / 'bin'}:{environment['PATH']}"
    return subprocess.run(
        ["make", *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )  # fmt: skip


def setup(folder: Path, *arguments: str) -> str:
    done = make(folder, *arguments, "setup")
    assert done.returncode == 0, done.stderr
    return done.stdout


def pythons(folder: Path) -> list[str]:
    """What uv was asked to make environments with since the last call."""
    asked = folder / "asked-uv"
    lines = asked.read_text().splitlines() if asked.exists() else []
    asked.unlink(missing_ok=True)
    return [line.partition("--python ")[2].removesuffix(" --only-group airflow") for line in lines]


def program(path: Path, script: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def age(folder: Path) -> None:
    """The lock is newer than the environments."""
    later = (folder / ".venv" / ".synced").stat().st_mtime + 60
    subprocess.run(["touch", "--date", f"@{later}", "uv.lock"], cwd=folder, check=True)


def test_environments_are_made_once(clone: Path) -> None:
    assert setup(clone).count("making .venv") == 2
    assert "making" not in setup(clone)
    assert "made in another folder" not in setup(clone)


def test_what_a_shell_has_set_for_another_python_or_project_reaches_neither(
    clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign = {"PYTHONPATH", "PYTHONHOME", "PYTHONWARNINGS", "VIRTUAL_ENV", "UV_PYTHON", "PIP_TARGET"}
    for name in foreign | {"PIP_USER", "UV_PROJECT_ENVIRONMENT"}:
        monkeypatch.setenv(name, "/nowhere")
    setup(clone)
    seen = dict(
        line.partition("=")[::2] for line in (clone / ".venv" / "environment").read_text().splitlines() if "=" in line
    )
    assert not foreign & seen.keys()
    assert (seen["PIP_USER"], seen["UV_PROJECT_ENVIRONMENT"]) == ("0", ".venv")


def test_uv_has_a_folder_of_its_own_where_the_users_home_has_no_place_for_it(
    clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def given() -> list[str]:
        lines = (clone / ".venv" / "environment").read_text().splitlines()
        return [line for line in lines if line.startswith("UV_CACHE_DIR=")]

    for name in ("UV_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for home, folder in (
        ("/dev/null", [f"UV_CACHE_DIR={clone}/.tools/cache"]),
        (str(clone.parent / "none" / "me"), []),
    ):
        monkeypatch.setenv("HOME", home)
        (clone / ".venv" / ".synced").unlink(missing_ok=True)
        setup(clone)
        assert given() == folder


def test_a_moved_clone_makes_its_environments_again_and_says_so(clone: Path) -> None:
    setup(clone)
    stale = clone / ".venv" / "stale"
    stale.touch()
    moved = clone.rename(clone.with_name("moved"))
    output = setup(moved)
    assert f".venv was made in another folder, {clone}: rebuilding it" in output
    assert f".venv-airflow was made in another folder, {clone}: rebuilding it" in output
    assert not (moved / ".venv" / "stale").exists()
    assert "making" not in setup(moved)


def test_a_lock_that_changed_is_followed_in_place(clone: Path) -> None:
    setup(clone)
    (clone / ".venv" / "kept").touch()
    age(clone)
    assert setup(clone).count("making .venv") == 2
    assert (clone / ".venv" / "kept").exists()


def test_the_machines_python_is_used_where_none_is_named(clone: Path) -> None:
    setup(clone)
    assert len(used := pythons(clone)) == 2
    assert {Path(each).name.partition(".")[0] for each in used} == {"python3"}


def test_a_python_that_was_named_is_kept(clone: Path) -> None:
    setup(clone, "PYTHON=3.12")
    assert pythons(clone) == ["3.12", "3.12"]
    assert "making" not in setup(clone)
    assert "making" not in setup(clone, "PYTHON=3.12")
    age(clone)
    setup(clone)
    assert pythons(clone) == ["3.12", "3.12"]


def test_another_python_that_is_named_makes_both_environments_again_and_a_stack_goes_down_first(clone: Path) -> None:
    setup(clone)
    pythons(clone)
    program(clone / ".venv" / "bin" / "python", "exit 0")
    program(clone / ".venv" / "bin" / "deposit", "echo deposit $1; ls asked-uv 2> /dev/null || true")
    assert setup(clone, "PYTHON=3.13").startswith("deposit down\nmaking .venv with 3.13 ")
    assert pythons(clone) == ["3.13", "3.13"]
    assert "making" not in setup(clone)


def test_a_python_of_the_machine_that_does_not_fit_gives_way_to_one_that_uv_has_or_fetches(clone: Path) -> None:
    program(clone / "bin" / "python3", "echo 3.14")
    assert "python3 is Python 3.14, which is not supported: uv uses an installed Python from 3.11 to 3.13" in setup(
        clone
    )
    assert pythons(clone) == [">=3.11,<3.14"] * 2


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ("3.14", "error: Python 3.14 is not supported: choose one from 3.11 to 3.13, for example PYTHON=3.13\n"),
        ("3.1", "error: Python 3.1 is not supported: choose one from 3.11 to 3.13, for example PYTHON=3.13\n"),
        ("python3.14", "error: Python 3.14 is not supported: choose one from 3.11 to 3.13, for example PYTHON=3.13\n"),
        ("python8", "error: python8 was not found: install Python 3.11 to 3.13, or choose one with PYTHON=\n"),
    ],
)
def test_a_python_that_is_named_and_does_not_fit_is_refused(clone: Path, named: str, message: str) -> None:
    program(clone / "bin" / "python3.14", "echo 3.14")
    for _ in ("before there are environments", "with some of another"):
        done = make(clone, f"PYTHON={named}", "setup")
        assert done.returncode != 0
        assert done.stderr.startswith(message)
        setup(clone)
    assert named not in pythons(clone)


def test_the_pythons_that_fit_are_those_of_the_requirements(clone: Path) -> None:
    (major, oldest), (_, newest) = requirements.PYTHON
    fit = [minor for minor in range(8, 20) if make(clone, f"PYTHON={major}.{minor}", "setup").returncode == 0]
    assert fit == list(range(oldest, newest + 1))


def up(folder: Path, *holders: str) -> subprocess.CompletedProcess[str]:
    """`make up` where the engine has containers with these labels."""
    (folder / "docker-compose.yml").touch()
    (folder / "compose").write_text(COMPOSE)
    (folder / "compose").chmod(0o755)
    (folder / "holders").write_text("".join(f"{line}\n" for line in holders))
    return make(folder, "up", "COMPOSE=./compose")


def test_another_clones_stack_is_left_alone_and_named(clone: Path) -> None:
    other = clone.with_name("another's  clone")
    other.mkdir()
    (other / "docker-compose.yml").touch()
    done = up(clone, f"bank {other}", "bank ")
    assert done.returncode != 0
    assert f"the project bank is the stack of {other}: run make down there" in done.stderr
    assert not (clone / "asked").exists()


def test_a_stack_that_plain_compose_has_taken_over_in_part_is_taken_back(clone: Path) -> None:
    other = clone.with_name("another's  clone")
    other.mkdir()
    (other / "docker-compose.yml").touch()
    for holders in ([f"bank {other}", f"bank {clone}"], [f"bank {clone}", f"bank {other}"]):
        assert up(clone, *holders).returncode == 0


def test_a_stack_of_this_folder_or_of_one_that_is_gone_goes_on(clone: Path) -> None:
    linked = clone.with_name("linked")
    linked.symlink_to(clone)
    gone = clone.with_name("gone")
    for holders in ([], [f"deposit {clone}"], [f"deposit {linked}"], [f"deposit {gone}"], ["deposit "]):
        assert up(clone, *holders).returncode == 0, holders
    assert (clone / "asked").read_text().splitlines() == [
        "up --build --detach --wait",
        "run --rm --no-deps -T deposit release --renew",
    ] * 5


FAILING = """#!/bin/sh
case "$*" in
  up*) echo "$SHELL_SETTINGS" > names; exit 1;;
  *ExitCode*) printf '0 postgres\\n1 secrets\\n';;
  logs*) echo "error: the log of ${*##* }";;
esac
"""


def test_a_failed_start_shows_the_services_log_and_the_shells_settings_are_passed_without_values(
    clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEPOSIT_TRIAN__TRIALS", "hush")
    (clone / "docker-compose.yml").touch()
    program(clone / "compose", FAILING)
    done = make(clone, "up", "COMPOSE=./compose")
    assert done.returncode != 0
    assert "last lines of secrets, which exited with code 1:\nerror: the log of secrets\n" in done.stderr
    assert "postgres" not in done.stderr
    assert "DEPOSIT_TRIAN__TRIALS" in (clone / "names").read_text().split()
    assert "hush" not in (clone / "names").read_text()


def wrapper(folder: Path, running: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`./deposit` called from a folder beside a clone, where compose knows this container of the releaser."""
    shutil.copy(REPOSITORY / "deposit", folder)
    compose = folder / "compose"
    compose.write_text(f'#!/bin/sh\ncase "$1" in ps) echo {running};; *) echo "$@";; esac\n')
    compose.chmod(0o755)
    return subprocess.run(
        [str(folder / "deposit"), *arguments], cwd=folder.parent, env={"PATH": "/usr/bin:/bin", "COMPOSE": "./compose"},
        capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def with_environment(folder: Path) -> None:
    program(folder / ".venv" / "bin" / "deposit", 'echo "$PWD" "$@"')


def test_the_wrapper_runs_in_the_stack_that_is_there(clone: Path) -> None:
    with_environment(clone)
    assert wrapper(clone, "", "models", "--json").stdout == f"{clone.parent} models --json\n"
    asked = wrapper(clone, "1234", "ingest", "--path", "a b.csv").stdout
    assert asked == (
        f"run --rm --no-deps -T --volume {clone.parent}:/from:ro --workdir /from deposit ingest --path a b.csv\n"
    )


@pytest.mark.parametrize("command", ["up", "down", "status", "env", "credentials", "doctor", "demo"])
def test_what_is_for_the_stack_without_docker_runs_there(clone: Path, command: str) -> None:
    with_environment(clone)
    assert wrapper(clone, "1234", command).stdout == f"{clone.parent} {command}\n"


def test_the_wrapper_tells_of_the_other_stack_where_a_command_is_of_the_one_without_docker(clone: Path) -> None:
    done = wrapper(clone, "1234", "doctor")
    assert done.returncode == 1
    assert done.stderr.startswith("error: this clone's stack runs with Docker, and `doctor` is for the stack without: ")


def test_the_wrapper_says_how_to_start_a_stack(clone: Path) -> None:
    done = wrapper(clone, "", "models")
    assert done.returncode == 1
    assert done.stderr == "error: this clone's stack is not running: make up starts it with Docker, make demo without\n"
