"""checkov over the plans of what stands: every finding is mended, or skipped with its reason."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from terraformed import STATES, TERRAFORM, Applied

pytestmark = pytest.mark.timeout(1500)
CHECKOV = "checkov==3.3.30"
CONFIGURATION = TERRAFORM / ".checkov.yaml"
UV = shutil.which("uv") or str(Path(__file__).parents[2] / ".tools/bin/uv")


def _checkov(applied: Applied, state: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    folder = applied.terraform.folder
    applied.terraform.run(state, "plan", "-input=false", f"-out={folder}/{state}.plan", *applied.variables[state])
    shown = applied.terraform.run(state, "show", "-json", f"{folder}/{state}.plan").stdout
    (folder / f"{state}.json").write_text(shown)
    # an environment of its own: it needs other versions of much that is here
    tool = [UV, "tool", "run", "--isolated", "--from", CHECKOV, "checkov"]
    command = [*tool, "--file", str(folder / f"{state}.json"), "--skip-download", *arguments]
    # where it finds no configuration by itself
    return subprocess.run(command, capture_output=True, text=True, cwd=folder / "modules")


@pytest.mark.parametrize("state", STATES)
def test_no_finding_is_left(applied: Applied, state: str) -> None:
    done = _checkov(applied, state, "--config-file", str(CONFIGURATION))
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_skip_is_needed(applied: Applied) -> None:
    skipped = set(yaml.safe_load(CONFIGURATION.read_text())["skip-check"])
    found = set()
    for state in STATES:
        done = _checkov(applied, state, "--framework", "terraform_plan", "--output", "json")
        found |= {each["check_id"] for each in json.loads(done.stdout)["results"]["failed_checks"]}
    assert found == skipped


def test_every_skip_has_its_reason() -> None:
    lines = CONFIGURATION.read_text().partition("skip-check:\n")[2].splitlines()
    assert lines[0].strip().startswith("# ")
    assert all(line.strip().startswith(("# ", "- CKV")) for line in lines)
