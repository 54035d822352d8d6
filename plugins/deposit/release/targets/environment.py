"""The environment variables of a service, for all targets. They contain no secrets."""

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
    """Return the variables of BentoML and the numeric libraries; `home` is the folder of the unpacked Bento."""
    return {
        "BENTOML_HOME": str(home),
        "BENTOML_DO_NOT_TRACK": "true",
        "BENTOML_CONFIG_OPTIONS": "tracing.excluded_urls=.*",
        "OMP_NUM_THREADS": "1",
    }


def service_variables(settings: Settings, store_key: Path, replica: int | None = None) -> dict[str, str]:
    """Return the `DEPOSIT_*` variables of a service.

    Args:
        settings: settings of the releaser.
        store_key: path of the file with the services' S3 secret key, as seen by the service.
        replica: number of the replica, starting at 1; None takes it from the settings.

    Raises ConfigError if the log goes to the database directly, which is for functions on Lambda only.
    """
    if settings.log.destination != "spool":
        raise ConfigError(
            "DEPOSIT_LOG__DESTINATION=database is for a function on Lambda only, and the services of this target have "
            "a spool: remove it"
        )
    serve, release = settings.serve, settings.release
    files = {"keys_file": serve.keys_file.resolve() if serve.keys_file else None, "catalog_file": settings.catalog_path}
    key_hash = digest(release.service_key.get_secret_value()) if release.service_key else None
    sections = {
        "serve": {**serve.model_dump(), **files, "releaser_key_sha256": key_hash, "replica": replica or serve.replica},
        "release": release.model_dump(include={"replicas"}),
        "log": settings.log.model_dump(include={"spool_max_bytes", "reserve_bytes"}),
        "economics": settings.economics.model_dump(),
        "expiry": settings.expiry.model_dump(),
        # the names of earlier versions, which a rollback may start
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
    """Return the hexadecimal sha256 of everything a service is started with; if it changes, the service is replaced.

    Args:
        release: release to serve.
        variables: environment and other configuration of the target, by name.
        secrets: content of secret files, by name.
    """
    parts = {"bento": release.bento_sha256, "variables": dict(variables), "secrets": dict(secrets)}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def script(command: Sequence[str], environment: Mapping[str, str], folder: Path | None = None) -> str:
    """Return a shell script that executes a command in a folder, followed by the arguments of the script."""
    exports = [f"export {name}={shlex.quote(value)}\n" for name, value in environment.items()]
    change = f"cd {shlex.quote(str(folder))} || exit\n" if folder else ""
    return f'#!/bin/sh\n{"".join(exports)}{change}exec {shlex.join(command)} "$@"\n'
