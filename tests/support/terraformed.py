"""Both states of `terraform/`, applied on the simulated AWS from nothing, once a session."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from simulated_aws.server import ACCOUNT, REGION, SimulatedAws

TERRAFORM = Path(__file__).parents[2] / "terraform"
PLUGINS = os.environ.get("TERRAFORM_PLUGINS")
"""A folder with the provider, where no registry can be reached."""
STATE_BUCKET = "deposit-states"
KEY_ADMINISTRATOR = f"arn:aws:iam::{ACCOUNT}:role/operators"
NO_CHANGE, CHANGES = 0, 2
"""Exit codes of `terraform plan -detailed-exitcode`."""
STATES = ("foundation", "services")


def image(repository: str, digest: str) -> str:
    """An image in the account's registry that no one has pushed; AWS's simulation does not look."""
    return f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/deposit-dev/{repository}@sha256:{digest * 64}"


@dataclass(frozen=True)
class Terraform:
    """A copy of the folder `terraform`, and the program with an environment that leads to one AWS."""

    folder: Path
    environment: Mapping[str, str] = field(repr=False)

    def run(self, where: str, *arguments: str, codes: Sequence[int] = (0,)) -> subprocess.CompletedProcess[str]:
        """Run in a folder of the copy; fails the test with all output on another exit code."""
        command = ["terraform", *arguments]
        done = subprocess.run(command, cwd=self.folder / where, env=self.environment, capture_output=True, text=True)
        if done.returncode not in codes:
            pytest.fail(f"{' '.join(command)} in {where}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def init(self, where: str, *arguments: str) -> None:
        """Fetch the provider, or link it."""
        plugins = [f"-plugin-dir={PLUGINS}"] if PLUGINS else []
        self.run(where, "init", "-input=false", "-no-color", *plugins, *arguments)

    def init_state(self, where: str, key: str) -> None:
        """The same, with the state under a key in the bucket of states."""
        backend = {"bucket": STATE_BUCKET, "key": key, "region": REGION}
        self.init(where, "-reconfigure", *(f"-backend-config={name}={value}" for name, value in backend.items()))


@dataclass(frozen=True)
class Applied:
    """What stands on the simulated AWS.

    Attributes:
        aws: where it stands.
        terraform: by which it was made.
        variables: arguments of each state.
        outputs: of each state, by name.
    """

    aws: SimulatedAws
    terraform: Terraform
    variables: Mapping[str, Sequence[str]]
    outputs: Mapping[str, Mapping[str, Any]]
    _plans: dict[str, int] = field(default_factory=dict)

    def planned(self, state: str) -> tuple[int, Path]:
        """Exit code and file of a state's first plan after the apply, which is made when it is asked for first."""
        file = self.terraform.folder / f"{state}.plan"
        if state not in self._plans:
            self._plans[state] = self.plan(state, f"-out={file}").returncode
        return self._plans[state], file

    def plan(self, state: str, *options: str) -> subprocess.CompletedProcess[str]:
        """Whether anything differs: its exit code is NO_CHANGE or CHANGES."""
        arguments = ["plan", "-input=false", "-no-color", "-detailed-exitcode", *options, *self.variables[state]]
        return self.terraform.run(state, *arguments, codes=(NO_CHANGE, CHANGES))

    def resources(self, state: str) -> list[dict[str, Any]]:
        """Every managed resource of a state, of all modules: address, type, values."""
        shown = json.loads(self.terraform.run(state, "show", "-json").stdout)
        return [each for each in _resources(shown["values"]["root_module"]) if each["mode"] == "managed"]

    def state_file(self, state: str) -> str:
        """The state as it lies in its bucket."""
        body = self.aws.client("s3").get_object(Bucket=STATE_BUCKET, Key=f"{state}.tfstate")["Body"]
        return str(body.read().decode())


@pytest.fixture(scope="session")
def terraform(simulated_aws: SimulatedAws, tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    """Terraform against the simulated AWS, with a bucket for states; skips where the program is not installed."""
    if shutil.which("terraform") is None:
        pytest.skip("terraform is not installed: nothing of terraform/ is tested")
    folder = tmp_path_factory.mktemp("terraform")
    kept_out = shutil.ignore_patterns(".terraform*", "*.tfstate*")
    shutil.copytree(TERRAFORM, folder, dirs_exist_ok=True, ignore=kept_out)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TF_"))}
    simulated_aws.client("s3").create_bucket(
        Bucket=STATE_BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    return Terraform(folder, {**inherited, **simulated_aws.environment, "TF_IN_AUTOMATION": "1"})


@pytest.fixture(scope="session")
def variables(terraform: Terraform, simulated_aws: SimulatedAws) -> Mapping[str, Sequence[str]]:
    """Arguments for each state: `dev`, and what only an account knows."""
    certificate = simulated_aws.client("acm").request_certificate(DomainName="api.example.org")["CertificateArn"]
    own = {
        "foundation": {
            "github_repository": "bank/deposit",
            "state_bucket": STATE_BUCKET,
            "key_administrators": [KEY_ADMINISTRATOR],
        },
        "services": {
            "foundation": {"bucket": STATE_BUCKET, "key": "foundation.tfstate", "region": REGION},
            "images": {
                "base": image("serving", "1"),
                "deposit": image("deposit", "2"),
                "airflow": image("airflow", "3"),
                "grafana": image("grafana", "4"),
            },
            "certificate_arn": certificate,
            "domain_name": "api.example.org",
            "hosts": {"airflow": "airflow.example.org", "grafana": "grafana.example.org"},
            "alarm_emails": ["oncall@example.org"],
        },
    }
    for state, values in own.items():
        (terraform.folder / state / "account.tfvars.json").write_text(json.dumps(values))
    return dict.fromkeys(STATES, ("-var-file=dev.tfvars", "-var-file=account.tfvars.json"))


@pytest.fixture(scope="session")
def applied(simulated_aws: SimulatedAws, terraform: Terraform, variables: Mapping[str, Sequence[str]]) -> Applied:
    """Both states as `dev`; three minutes, most of them the provider's own waits for RDS and the load balancer."""
    outputs = {}
    for state in STATES:
        terraform.init_state(state, f"{state}.tfstate")
        terraform.run(state, "apply", "-input=false", "-auto-approve", "-no-color", *variables[state])
        shown = json.loads(terraform.run(state, "output", "-json").stdout)
        outputs[state] = {name: each["value"] for name, each in shown.items()}
    return Applied(simulated_aws, terraform, variables, outputs)


def _resources(module: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    yield from module.get("resources", [])
    for child in module.get("child_modules", []):
        yield from _resources(child)
