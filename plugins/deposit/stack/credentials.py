"""The stack's secrets: random, made on first start, kept in one file that only its owner can read."""

import base64
import json
import os
import secrets
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from deposit.errors import ConfigError


@dataclass(frozen=True)
class Credentials:
    """One secret a role; each part is given only its own."""

    postgres_superuser: str
    postgres_deposit: str
    postgres_reader: str
    postgres_mlflow: str
    postgres_airflow: str
    store_admin: str
    store_pipeline: str
    store_mlflow: str
    airflow_admin: str
    airflow_jwt: str
    airflow_fernet: str


def credentials(path: Path) -> Credentials:
    """Read the secrets, making them if the file is not there. Raises ConfigError if it is damaged."""
    if not path.exists():
        write_private(path, json.dumps(asdict(random_credentials()), indent=1))
    try:
        return Credentials(**json.loads(path.read_text()))
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
    partial = path.with_name(path.name + ".partial")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(content)
    partial.replace(path)
