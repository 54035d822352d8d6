"""The version is the same wherever it is asked."""

import tomllib

from typer.testing import CliRunner

from deposit import __version__
from deposit.cli import app
from deposit.settings import REPOSITORY


def test_the_package_has_the_version_of_the_project() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert __version__ == project["version"]


def test_the_command_prints_it() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.stdout) == (0, f"deposit {__version__}\n")
