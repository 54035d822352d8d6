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


def _failed(applied: Applied, state: str) -> set[str]:
    """Every check that a plan of what stands does not pass, skipped or not."""
    folder, (_, plan) = applied.terraform.folder, applied.planned(state)
    file = folder / f"{state}.json"
    file.write_text(applied.terraform.run(state, "show", "-json", str(plan)).stdout)
    # an environment of its own: it needs other versions of much that is here
    tool = [UV, "tool", "run", "--isolated", "--from", CHECKOV, "checkov"]
    options = ["--skip-download", "--framework", "terraform_plan", "--output", "json"]
    # where it finds no configuration by itself
    done = subprocess.run(
        [*tool, "--file", str(file), *options], capture_output=True, text=True, cwd=folder / "modules"
    )
    results = json.loads(done.stdout)["results"]
    assert len(results["passed_checks"]) > 100, done.stderr
    return {f"{each['check_id']} {each['resource']}" for each in results["failed_checks"]}


def test_every_finding_is_mended_or_skipped_with_a_reason_and_every_skip_is_needed(applied: Applied) -> None:
    skipped = set(yaml.safe_load(CONFIGURATION.read_text())["skip-check"])
    failed = set().union(*(_failed(applied, state) for state in STATES))
    assert {each for each in failed if each.split()[0] not in skipped} == set()
    assert {each.split()[0] for each in failed} == skipped


def test_every_skip_has_its_reason() -> None:
    lines = CONFIGURATION.read_text().partition("skip-check:\n")[2].splitlines()
    assert lines[0].strip().startswith("# ")
    assert all(line.strip().startswith(("# ", "- CKV")) for line in lines)
