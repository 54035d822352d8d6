"""The environment variables of a service, whatever the target: no secret is among them."""

import hashlib
import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from deposit.errors import ConfigError
from deposit.keys import digest
from deposit.release.repository import Release
from deposit.settings import Settings
from deposit.variables import PREFIX, text_of


def bentoml_variables(home: Path) -> dict[str, str]:
    """The variables of BentoML and the numeric libraries; `home` holds the unpacked Bento."""
    return {
        "BENTOML_HOME": str(home),
        "BENTOML_DO_NOT_TRACK": "true",
        "BENTOML_CONFIG_OPTIONS": "tracing.excluded_urls=.*",
        "OMP_NUM_THREADS": "1",
    }


def service_variables(settings: Settings, store_key: Path, replica: int | None = None) -> dict[str, str]:
    """A service's `DEPOSIT_*`: limits, files, prices, models' expiry and, where it has a key of its own, the store.

    Args:
        settings: of the releaser.
        store_key: file with the S3 secret key for services, as the service will see it.
        replica: which of the replicas it is, from 1; None is what the settings say.

    Raises ConfigError for a log that only a function on Lambda can have.
    """
    if settings.log.destination != "spool":
        raise ConfigError(
            "DEPOSIT_LOG__DESTINATION=database is for a function on Lambda alone, the services of this target have a "
            "spool: remove it"
        )
    serve, release = settings.serve, settings.release
    files = {"keys_file": serve.keys_file.resolve() if serve.keys_file else None, "catalog_file": settings.catalog_path}
    tested_by = digest(release.service_key.get_secret_value()) if release.service_key else None
    sections = {
        "serve": {**serve.model_dump(), **files, "releaser_key_sha256": tested_by, "replica": replica or serve.replica},
        "release": release.model_dump(include={"replicas"}),
        "log": settings.log.model_dump(include={"spool_max_bytes", "reserve_bytes"}),
        "economics": settings.economics.model_dump(),
        "expiry": settings.expiry.model_dump(),
        # by the names that a service of before goes by, which a rollback may start
        "train": settings.economics.model_dump(include={"deposit_value", "call_cost"}),
        "store": settings.store.model_dump(include={"endpoint_url", "region"}),
    }
    if release.store_access_key:
        sections["store"] |= {"access_key": release.store_access_key, "secret_key_file": store_key}
    return {"DEPOSIT_STATE_DIR": str(settings.state_dir.resolve())} | {
        f"{PREFIX}{section}__{name}".upper(): text_of(value)
        for section, values in sections.items()
        for name, value in values.items()
        if value is not None
    }


def configuration_digest(release: Release, variables: Mapping[str, str], secrets: Mapping[str, str]) -> str:
    """Hexadecimal sha256 of all that a service is started with: another one means that it must be started anew.

    Args:
        release: whose Bento it serves.
        variables: its environment, and whatever else of its configuration the target knows, by name.
        secrets: by name, what is in the files that only it may read.
    """
    parts = {"bento": release.bento_sha256, "variables": dict(variables), "secrets": dict(secrets)}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def script(command: Sequence[str], environment: Mapping[str, str], folder: Path | None = None) -> str:
    """The script that becomes the program, in a folder; what it is given itself comes last on the command line."""
    exports = [f"export {name}={shlex.quote(value)}\n" for name, value in environment.items()]
    change = f"cd {shlex.quote(str(folder))} || exit\n" if folder else ""
    return f'#!/bin/sh\n{"".join(exports)}{change}exec {shlex.join(command)} "$@"\n'
