"""docs/aws.md and the READMEs of terraform/ say what is there."""

import re
import subprocess
import sys
from pathlib import Path

from simulated_aws.patches import PATCHES

from deposit.settings import setting_names

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/aws.md").read_text()
FAKED = PAGE.partition("## What the tests fake")[2]


def test_each_patch_is_named_and_none_that_is_gone() -> None:
    assert re.findall(r"^\| `(\w+)` \| ", FAKED, re.MULTILINE) == [patch.__name__ for patch in PATCHES]


def test_each_patch_says_what_aws_does() -> None:
    assert [patch.__name__ for patch in PATCHES if not (patch.__doc__ or "").startswith(("AWS ", "Fargate "))] == []


def test_tables_of_terraforms_readmes_are_current() -> None:
    command = [sys.executable, str(ROOT / "terraform/tables.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_module_and_state_has_its_tables() -> None:
    folders = [
        *(ROOT / "terraform/modules").iterdir(),
        *(ROOT / "terraform" / state for state in ("foundation", "services")),
    ]
    assert len(folders) == 11
    for folder in folders:
        rows = set(re.findall(r"^\| `(\w+)` \| ", (folder / "README.md").read_text(), re.MULTILINE))
        declared = {
            name
            for path in folder.glob("*.tf")
            for name in re.findall(r'^(?:variable|output) "(\w+)"', path.read_text(), re.MULTILINE)
        }
        assert rows == declared


def test_the_page_of_costs_adds_up() -> None:
    rows = re.findall(r"^\|[^|]*\|[^|]*\|\s*(\d+)\s*\|\s*(\d+)\s*\|$", PAGE, re.MULTILINE)
    together = re.search(r"^\| \*\*together\*\* \| \| \*\*(\d+)\*\* \| \*\*(\d+)\*\* \|$", PAGE, re.MULTILINE)
    assert together is not None
    assert [sum(int(row[column]) for row in rows) for column in (0, 1)] == [int(total) for total in together.groups()]


def test_every_setting_that_terraform_gives_is_known_to_the_parts() -> None:
    text = "\n".join(path.read_text() for path in (ROOT / "terraform").rglob("*.tf"))
    # not what is put together, like DEPOSIT_LINKS__${...}
    given = set(re.findall(r"\bDEPOSIT_[A-Z0-9_]+\b(?!\$)", text))
    assert len(given) > 30
    known = set(setting_names())
    assert {name for name in given if not {name, name.removesuffix("_SECRET")} & known} == set()
