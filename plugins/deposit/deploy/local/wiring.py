"""The settings of one stack: what somebody chose, and what the stack makes itself and nobody else can set."""

import hashlib
from collections.abc import Mapping

from deposit.deploy.credentials import Credentials
from deposit.deploy.layout import Layout
from deposit.deploy.servers import OWNER, WRITER, database_url
from deposit.errors import ConfigError
from deposit.keys import digest
from deposit.settings import Settings, variables
from deposit.variables import file_of

WITH_DOCKER_ALONE = frozenset(
    {
        "DEPOSIT_RELEASE__TARGET",
        "DEPOSIT_RELEASE__BASE_IMAGE",
        "DEPOSIT_RELEASE__PROJECT",
        "DEPOSIT_RELEASE__MEMORY_LIMIT",
        "DEPOSIT_STORE__LOGS_BUCKET",
    }
)
"""Settings that nothing in the stack without Docker follows."""
_PLACE = "DEPOSIT_STATE_DIR"


def made(settings: Settings, layout: Layout, secrets: Credentials) -> dict[str, str]:
    """Addresses, sockets and secrets of the stack's own, as environment variables."""
    ports = settings.stack
    server = f"127.0.0.1:{ports.postgres_port}"
    return {
        "DEPOSIT_DATABASE__URL": database_url(server, OWNER, secrets.postgres_deposit),
        "DEPOSIT_DATABASE__WRITER_URL": database_url(server, WRITER, secrets.postgres_writer),
        "DEPOSIT_STORE__ENDPOINT_URL": f"http://127.0.0.1:{ports.store_port}",
        "DEPOSIT_STORE__ACCESS_KEY": "pipeline",
        "DEPOSIT_STORE__SECRET_KEY": secrets.store_pipeline,
        "DEPOSIT_SERVE__RELEASER_KEY_SHA256": digest(secrets.releaser_key),
        "DEPOSIT_RELEASE__SERVICE_KEY": secrets.releaser_key,
        "DEPOSIT_RELEASE__STORE_ACCESS_KEY": "serving",
        "DEPOSIT_RELEASE__STORE_SECRET_KEY": secrets.store_serving,
        "DEPOSIT_MLFLOW__TRACKING_URI": f"http://127.0.0.1:{ports.mlflow_port}",
        "DEPOSIT_RELEASE__SUPERVISOR_SOCKET": str(layout.supervisor_socket),
        "DEPOSIT_RELEASE__GATEWAY_ADMIN": str(layout.gateway_socket),
    }


def chosen(settings: Settings, with_secrets: bool = True) -> dict[str, str]:
    """What differs from its default, as environment variables; the folder, which each part is given, is left out."""
    found = variables(settings, with_secrets)
    found.pop(_PLACE, None)
    return found


def settings_of(settings: Settings, layout: Layout, secrets: Credentials) -> dict[str, str]:
    """What every command and part of this stack goes by, as environment variables; holds secrets."""
    by_default = {"DEPOSIT_SERVE__KEYS_FILE": str(layout.keys)}
    return by_default | chosen(settings) | made(settings, layout, secrets)


def digest_of(variables: Mapping[str, str]) -> str:
    """What tells a part's supervisor that its settings have changed, and tells nothing else."""
    return hashlib.sha256(file_of(variables).encode()).hexdigest()


def require_possible(settings: Settings, layout: Layout, secrets: Credentials) -> None:
    """Raise ConfigError naming each setting that this stack could not follow."""
    given = variables(settings)
    own = made(settings, layout, secrets)
    taken = [name for name, value in own.items() if given.get(name, value) != value]
    foreign = sorted(WITH_DOCKER_ALONE & given.keys())
    reasons = []
    if taken:
        reasons.append(f"{', '.join(taken)}: the stack without Docker makes its own and takes no other")
    if foreign:
        reasons.append(f"{', '.join(foreign)}: only the stack with Docker goes by it")
    if reasons:
        raise ConfigError(f"{'; '.join(reasons)}; unset what is named here, and start again")
