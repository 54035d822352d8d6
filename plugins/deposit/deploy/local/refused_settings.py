"""Settings that the stack without Docker cannot apply, which it rejects by name, and those that it does not read."""

import os
from pathlib import Path

from deposit.deploy.credentials import Credentials
from deposit.deploy.layout import Layout
from deposit.deploy.local.programs import stack_variables
from deposit.errors import ConfigError
from deposit.progress import Progress
from deposit.settings import Settings, variables
from deposit.variables import PREFIX

WITH_DOCKER_ALONE = frozenset(
    {
        "DEPOSIT_RELEASE__TARGET",
        "DEPOSIT_RELEASE__BASE_IMAGE",
        "DEPOSIT_RELEASE__PROJECT",
        "DEPOSIT_RELEASE__MEMORY_LIMIT",
        "DEPOSIT_STORE__LOGS_BUCKET",
    }
)
"""Settings that nothing in the stack without Docker uses."""
ON_AWS_ALONE = frozenset(
    {
        "DEPOSIT_DATABASE__ADMIN_URL",
        "DEPOSIT_DATABASE__AIRFLOW_URL",
        "DEPOSIT_DATABASE__CA_FILE",
        "DEPOSIT_DATABASE__IAM",
        "DEPOSIT_DATABASE__MLFLOW_URL",
        "DEPOSIT_DATABASE__READER_PASSWORD",
        "DEPOSIT_LOG__DESTINATION",
        "DEPOSIT_LOG__HANDOVER_URI",
        "DEPOSIT_LOG__STOP_SECONDS",
        "DEPOSIT_LOG__WRITE_TIMEOUT",
        "DEPOSIT_RELEASE__ARCHITECTURE",
        "DEPOSIT_RELEASE__ECR_REPOSITORY",
        "DEPOSIT_RELEASE__ECS_CLUSTER",
        "DEPOSIT_RELEASE__ECS_SERVICE",
        "DEPOSIT_RELEASE__ECS_TASKS",
        "DEPOSIT_RELEASE__ECS_TIMEOUT",
        "DEPOSIT_RELEASE__ECS_URL",
        "DEPOSIT_RELEASE__LAMBDA_ALIAS",
        "DEPOSIT_RELEASE__LAMBDA_FUNCTION",
        "DEPOSIT_RELEASE__LAMBDA_URL",
        "DEPOSIT_RELEASE__REGISTRY_URL",
        "DEPOSIT_SERVE__CATALOG_URI",
        "DEPOSIT_SERVE__KEYS_SECRET_ID",
        "DEPOSIT_STORE__KMS_KEY",
    }
)
"""Settings for servers of AWS, instead of which this stack runs its own, and for a shipper whose disk is deleted."""


def require_possible(settings: Settings, layout: Layout, secrets: Credentials) -> None:
    """Raise ConfigError naming each setting that this stack cannot apply."""
    wanted = variables(settings)
    own = stack_variables(settings.stack, layout, secrets)
    taken = [name for name, value in own.items() if wanted.get(name, value) != value]
    foreign = sorted(WITH_DOCKER_ALONE & wanted.keys())
    reasons = []
    if taken:
        reasons.append(f"{', '.join(taken)}: the stack without Docker makes its own and takes no others")
    if foreign:
        reasons.append(f"{', '.join(foreign)}: used only by the stack with Docker")
    if of_aws := sorted(ON_AWS_ALONE & wanted.keys()):
        reasons.append(f"{', '.join(of_aws)}: the stack without Docker has servers of its own, not those of AWS")
    if reasons:
        raise ConfigError(
            "settings are set that this stack cannot apply: unset those named above, and start again", reasons
        )


def report_unread(folder: Path, progress: Progress) -> None:
    """Report settings in a clone's `.env` that the shell lacks: they have no effect here, only compose reads them."""
    file = folder / ".env"
    try:
        lines = file.read_bytes().replace(b"\0", b"").splitlines()  # ASCII in UTF-16 has a zero in each character
    except OSError:
        return
    names = {line.removeprefix(b"export").partition(b"=")[0].strip().decode(errors="replace") for line in lines}
    if any(name.startswith(PREFIX) and name not in os.environ for name in names):
        progress(f"the settings in {file} apply only with Docker: without it, export them in the shell")
