"""What GitHub's workflows rest on: targets that exist, actions that cannot change, no right more than is used."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from deposit.deploy.requirements import PYTHON

ROOT = Path(__file__).parents[2]
WORKFLOWS = {path.name: path for path in sorted((ROOT / ".github" / "workflows").glob("*.yml"))}
JOBS = [
    (name, job, content)
    for name, path in WORKFLOWS.items()
    for job, content in yaml.safe_load(path.read_text())["jobs"].items()
]
TARGETS = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def _steps(job: dict[str, Any]) -> list[dict[str, Any]]:
    return list(job["steps"])


def _made(name: str) -> set[str]:
    """The targets that a workflow makes, those that come from a matrix too."""
    made = set()
    for workflow, _, job in JOBS:
        if workflow != name:
            continue
        for step in _steps(job):
            for line in re.findall(r"^make (.+)$", step.get("run", ""), re.MULTILINE):
                matrix = job.get("strategy", {}).get("matrix", {})
                made |= set(matrix["target"]) if line == '"$TARGET"' else set(line.split())
    return made


def test_there_are_three() -> None:
    assert set(WORKFLOWS) == {"ci.yml", "images.yml", "terraform.yml"}


@pytest.mark.parametrize("name", WORKFLOWS)
def test_what_is_made_is_a_target(name: str) -> None:
    assert _made(name) <= TARGETS


def test_the_pipeline_makes_what_the_check_on_a_machine_makes() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    lines = re.findall(r"^ *(?:begin \w+ )?(?:\w+=\S+ )*make ((?:[a-z0-9-]+ ?)+)", script, re.MULTILINE)
    assert {target for line in lines for target in line.split()} == _made("ci.yml")


def test_contracts_are_tested_on_every_python_that_is_supported_and_the_demo_on_oldest_and_newest() -> None:
    jobs = {job: content for name, job, content in JOBS if name == "ci.yml"}
    (major, oldest), (_, newest) = PYTHON
    every = [f"{major}.{minor}" for minor in range(oldest, newest + 1)]
    assert jobs["check"]["strategy"]["matrix"]["python"] == every
    parts = jobs["parts"]["strategy"]["matrix"]
    demo = {*parts["python"], *(each["python"] for each in parts["include"] if each["target"] == "test-e2e")}
    assert demo == {every[0], every[-1]}
    for content in (jobs["check"], jobs["parts"]):
        made = next(
            each["with"] for each in _steps(content) if each.get("uses", "").startswith("actions/setup-python@")
        )
        assert made["python-version"] == "${{ matrix.python }}"


@pytest.mark.parametrize(("name", "job", "content"), JOBS, ids=[f"{name}-{job}" for name, job, _ in JOBS])
def test_a_job_has_few_rights_and_actions_that_cannot_change(name: str, job: str, content: dict[str, Any]) -> None:
    assert set(content["permissions"]) <= {"contents", "id-token", "packages"}
    assert content["permissions"]["contents"] == "read"
    assert content["timeout-minutes"]
    text = WORKFLOWS[name].read_text()
    used = [step["uses"] for step in _steps(content) if "uses" in step]
    assert used
    for action in used:
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action)
        assert re.search(rf"{re.escape(action)} # v\d+\.\d+\.\d+$", text, re.MULTILINE), "its version stands beside it"
    for step in _steps(content):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_gives_no_right_by_default_and_waits_for_its_like(name: str) -> None:
    content = yaml.safe_load(WORKFLOWS[name].read_text())
    assert content["permissions"] == {}
    assert content["concurrency"]["group"]


def test_no_key_that_lasts_is_used() -> None:
    for path in WORKFLOWS.values():
        assert "secrets." not in path.read_text()


def test_images_are_those_of_the_dockerfile() -> None:
    stages = set(re.findall(r"^FROM \S+ AS (\S+)", (ROOT / "docker" / "Dockerfile").read_text(), re.MULTILINE))
    built = set()
    for name, _, content in JOBS:
        if name == "images.yml":
            matrix = content["strategy"]["matrix"]
            built |= set(matrix.get("image", [])) | {each["image"] for each in matrix.get("include", [])}
    assert built
    assert built <= stages
