"""The stack's secrets: random, created on the first start, kept in one file that only its owner can read."""

import base64
import json
import secrets
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from deposit import keys
from deposit.errors import ConfigError
from deposit.files import replace_file

_ADDED_LATER = (
    "store_serving",
    "releaser_key",
    "postgres_writer",
    "store_airflow",
    "api_marketing",
    "api_admin",
    "api_airflow",
    "grafana_admin",
    "redis",
    "gateway_admin",
)
"""Secrets that were added later: a stack of an earlier version does not have them yet."""

SUPERUSER = "postgres"
"""The superuser role that every PostgreSQL server has."""


@dataclass(frozen=True, repr=False)
class Credentials:
    """One secret per role; each service gets only its own. `store_airflow` to `redis` are used with Docker."""

    postgres_superuser: str
    postgres_deposit: str
    postgres_reader: str
    postgres_writer: str
    postgres_mlflow: str
    postgres_airflow: str
    store_admin: str
    store_pipeline: str
    store_mlflow: str
    store_serving: str
    releaser_key: str
    airflow_admin: str
    airflow_jwt: str
    airflow_fernet: str
    store_airflow: str
    api_marketing: str
    api_admin: str
    api_airflow: str
    grafana_admin: str
    redis: str
    gateway_admin: str


def credentials(path: Path) -> Credentials:
    """Read the secrets, and create those that are missing. Raises ConfigError if the file is damaged."""
    fresh = asdict(random_credentials())
    content = _read(path) if path.exists() else fresh
    complete = _checked(path, {name: fresh[name] for name in _ADDED_LATER} | content)
    if not path.exists() or asdict(complete) != content:
        write_private(path, json.dumps(asdict(complete), indent=1))
    return complete


def stored_credentials(path: Path) -> Credentials:
    """Read the secrets without creating any. Raises ConfigError if the file is missing, incomplete or damaged."""
    return _checked(path, _read(path))


def random_credentials() -> Credentials:
    """Generate new secrets; they are stored nowhere."""
    values = {field.name: secrets.token_hex(20) for field in fields(Credentials)}
    for name in ("api_marketing", "api_admin", "api_airflow"):
        values[name] = keys.new_key()
    values["airflow_fernet"] = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    return Credentials(**values)


def write_private(path: Path, content: str) -> None:
    """Atomically write a file that only its owner can read."""
    replace_file(path, content.encode())


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise ConfigError(
            f"cannot read the secrets {path} ({error.strerror}): start the stack, which creates them"
        ) from error
    except ValueError as error:
        raise _damaged(path) from error
    if not isinstance(content, dict):
        raise _damaged(path)
    return content


def _checked(path: Path, content: dict[str, Any]) -> Credentials:
    """Check that every secret is there as non-empty text. Raises ConfigError, which quotes none of them."""
    names = {field.name for field in fields(Credentials)}
    if content.keys() != names or not all(isinstance(value, str) and value for value in content.values()):
        raise _damaged(path)
    return Credentials(**content)


def _damaged(path: Path) -> ConfigError:
    return ConfigError(f"{path} is damaged: restore it, or remove the whole folder {path.parent} to start over")


_UI_ROUNDS = 10
"""2^10 rounds, 0.05 s: enough for a random password, and the gateway spends as long on each wrong one."""


def admit_to_uis(login_file: Path, password: str) -> None:
    """Store the bcrypt hash of the UIs' password for the gateway, unless the file holds a hash of it already."""
    import bcrypt  # not installed in Airflow's environment, which imports this module too

    known = login_file.read_bytes() if login_file.exists() else b""
    try:
        if bcrypt.checkpw(password.encode(), known):
            return
    except ValueError:  # no hash, or a damaged one
        pass
    login_file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_private(login_file, bcrypt.hashpw(password.encode(), bcrypt.gensalt(_UI_ROUNDS)).decode())
