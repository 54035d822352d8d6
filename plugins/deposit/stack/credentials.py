"""The stack's secrets: random, made on first start, kept in one file that only its owner can read."""

import base64
import json
import secrets
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from deposit.errors import ConfigError
from deposit.files import replace_file

_YOUNGER = ("store_serving", "releaser_key", "postgres_writer")
"""Secrets that a stack made by an earlier version does not have yet."""


@dataclass(frozen=True)
class Credentials:
    """One secret a role; each part is given only its own."""

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


def credentials(path: Path) -> Credentials:
    """Read the secrets, making those that are not there yet. Raises ConfigError if the file is damaged."""
    try:
        made = asdict(random_credentials())
        known = json.loads(path.read_text()) if path.exists() else made
        found = Credentials(**{name: made[name] for name in _YOUNGER} | known)
        if not path.exists() or asdict(found) != known:
            write_private(path, json.dumps(asdict(found), indent=1))
        return found
    except (ValueError, TypeError) as error:
        raise ConfigError(
            f"{path} is damaged: restore it, or remove the whole folder {path.parent} to begin anew"
        ) from error


def random_credentials() -> Credentials:
    """Fresh secrets, kept nowhere."""
    made = {field.name: secrets.token_hex(20) for field in fields(Credentials)}
    return Credentials(**made | {"airflow_fernet": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()})


def write_private(path: Path, content: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    replace_file(path, content.encode())
