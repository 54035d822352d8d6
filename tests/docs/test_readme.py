import re
import subprocess
from pathlib import Path

import pytest
from pasted import block

from deposit.cli import app
from deposit.settings import RENAMED, setting_names

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
COMMANDS = (ROOT / "docs" / "commands.md").read_text()
SETTINGS = (ROOT / "docs" / "settings.md").read_text()


@pytest.mark.parametrize("name", setting_names())
def test_each_setting_is_documented_with_its_meaning(name: str) -> None:
    assert f"| `{name}` | " in SETTINGS
    assert setting_names()[name][0] in SETTINGS


def test_no_setting_is_documented_that_does_not_exist() -> None:
    assert set(re.findall(r"DEPOSIT_[A-Z0-9_]+", README + SETTINGS)) <= setting_names().keys() | RENAMED.keys()


@pytest.mark.parametrize("command", [command.callback.__name__ for command in app.registered_commands])
def test_each_command_is_documented(command: str) -> None:
    assert f"`{command}`" in COMMANDS or f"deposit {command}" in COMMANDS


@pytest.mark.parametrize("dag", sorted(path.stem for path in (ROOT / "dags").glob("deposit_[!d]*.py")))
def test_each_dag_is_documented(dag: str) -> None:
    assert f"`{dag}`" in COMMANDS


def test_make_help_lists_every_target_that_the_readme_names() -> None:
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    targets = {line.split()[0] for line in listed.splitlines()}
    assert set(re.findall(r"`make ([a-z-]+)`", README)) <= targets


def test_the_readme_is_read_in_three_minutes() -> None:
    assert len(README.split()) <= 600


def test_what_the_readme_starts_with_are_targets_of_make() -> None:
    started = block("README.md", "Start")
    assert re.findall(r"^make ([a-z-]+)", started, re.MULTILINE) == ["up", "credentials", "demo"]
