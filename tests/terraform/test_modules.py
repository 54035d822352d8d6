"""What needs no AWS: form, types, and each module's own tests with a mocked provider, its examples among them."""

import re

import pytest
from terraformed import TERRAFORM, Terraform

pytestmark = pytest.mark.timeout(600)
MODULES = sorted(path.name for path in (TERRAFORM / "modules").iterdir())
FILES = {"main.tf", "variables.tf", "outputs.tf", "versions.tf", "README.md"}


def test_form_is_terraforms_own(terraform: Terraform) -> None:
    done = terraform.run(".", "fmt", "-check", "-recursive", "-diff", codes=(0, 3))
    assert done.stdout == ""


def test_the_root_that_nothing_applies_here_is_valid(terraform: Terraform) -> None:
    terraform.init("bootstrap", "-backend=false")
    terraform.run("bootstrap", "validate", "-no-color")


@pytest.mark.parametrize("module", MODULES)
def test_modules_do_what_their_own_tests_ask(terraform: Terraform, module: str) -> None:
    where = f"modules/{module}"
    terraform.init(where)
    done = terraform.run(where, "test", "-no-color")
    passed = re.search(r"Success! (\d+) passed, 0 failed", done.stdout)
    written = (TERRAFORM / where / "tests" / f"{module}.tftest.hcl").read_text().count("\nrun ")
    assert passed, done.stdout
    assert int(passed[1]) == written
    assert 'source = "./examples/complete"' in (TERRAFORM / where / "tests" / f"{module}.tftest.hcl").read_text()


@pytest.mark.parametrize("module", MODULES)
def test_modules_have_the_same_files(module: str) -> None:
    folder = TERRAFORM / "modules" / module
    assert {path.name for path in folder.iterdir() if path.is_file()} >= FILES
    assert (folder / "examples" / "complete" / "main.tf").exists()


@pytest.mark.parametrize("path", sorted(TERRAFORM.rglob("variables.tf")), ids=lambda path: path.parent.name)
def test_every_variable_says_what_it_is(path: object) -> None:
    blocks = re.findall(r'^variable "(\w+)" \{\n(.*?)^\}', path.read_text(), re.DOTALL | re.MULTILINE)  # type: ignore[attr-defined]
    assert blocks
    assert [
        name for name, body in blocks if "  description = " not in body or not re.search(r"^  type +=", body, re.M)
    ] == []
