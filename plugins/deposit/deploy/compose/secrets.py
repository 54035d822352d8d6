"""The one-shot service `secrets`: creates missing secrets, and writes each service's own files. Idempotent.

Run it as `python -m deposit.deploy.compose.secrets`, as root with only the capabilities CHOWN, DAC_OVERRIDE and
FOWNER.
"""

import json
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Annotated

import typer

from deposit import console, keys
from deposit.deploy.compose.addresses import publication, urls
from deposit.deploy.compose.parts import DEPOSIT, ServiceSecrets, service_secrets
from deposit.deploy.credentials import Credentials, credentials, random_credentials, write_private
from deposit.deploy.requirements import WITH_DOCKER, Machine, disk_shortfall, shortfalls
from deposit.errors import ConfigError
from deposit.files import exclusive, replace_file
from deposit.progress import Progress, log_progress
from deposit.sections import StoreSettings
from deposit.settings import check_names, open_settings

ROOT = Path("/secrets")
PLACES = Path("/var/lib/deposit")
GRAFANA_FILES = Path("/grafana")
SHELL = "SHELL_SETTINGS"
"""Variable with the names, without values, of the settings in the shell of `make up`; compose itself passes only names
that it knows."""
_NOT_RENEWABLE = {"postgres_superuser", "airflow_fernet", "grafana_admin", "api_marketing", "api_admin", "api_airflow"}
"""Secrets that cannot be renewed here: existing data depends on them. `deposit keys` replaces API keys; Grafana's
password is changed in its UI, since Grafana keeps it in its own database after the first start."""
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def vault(root: Path) -> Path:
    """The path of the file with all secrets."""
    return root / "vault" / "secrets.json"


def make(
    root: Path,
    store: StoreSettings,
    links: Mapping[str, str],
    progress: Progress = log_progress,
    renew: Sequence[str] = (),
) -> None:
    """Create the secrets that are missing under `root`, and write the files of every service that differ.

    `links` are addresses for Airflow's UI by service, `renew` names secrets to replace. Raises ConfigError if one
    cannot be renewed, if the vault is damaged or lost, or if a folder cannot be written.
    """
    root_user = os.geteuid() == 0
    if not root_user:
        progress("not run as root: every file stays with this user")
    try:
        vault(root).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # two concurrent first starts would each create their own secrets
        with exclusive(vault(root).with_suffix(".lock")):
            _refuse_a_lost_vault(root)
            secrets = _renewed(vault(root), renew)
            _own(vault(root).parent, DEPOSIT if root_user else None)
            for part in service_secrets(store, secrets, links):
                written = _lay_out(root / part.name, part, part.user if root_user else None)
                progress(f"{part.name}: {written or 'no'} new of {len(part.files)} files")
            is_new = keys.make_closed(root / "keys" / "keys.json", api_keys(secrets))
            _own(root / "keys", DEPOSIT if root_user else None)
            progress("keys: made" if is_new else "keys: left as they are")
    except OSError as error:
        raise ConfigError(
            f"cannot write {error.filename or root}: {error.strerror}; correct the volumes under {root}"
        ) from error


def change_owner(places: Path) -> None:
    """Change the owner of the services' data folders to their user, since a new volume may belong to root.

    A volume takes the owner of the folder that it is first mounted on, and which container is first is not certain.
    """
    for place in places.iterdir():
        if place.is_dir() and os.geteuid() == 0 and place.stat().st_uid != DEPOSIT:
            os.chown(place, DEPOSIT, DEPOSIT)


def open_to_readers(folder: Path) -> None:
    """Let every user read a folder of the clone, as `chmod -R go+rX` does: its reader is not its owner.

    Raises ConfigError if this user may not change the mode.
    """
    try:
        for path in (folder, *folder.rglob("*")):
            mode = path.stat().st_mode
            wanted = mode | (0o055 if path.is_dir() else 0o044)
            if mode != wanted:
                path.chmod(wanted)
    except OSError as error:
        raise ConfigError(
            f"Grafana cannot read {error.filename} of this clone, whose mode is not ours to change ({error.strerror}): "
            f"run `chmod -R go+rX {folder.name}` in the clone"
        ) from error


def api_keys(secrets: Credentials) -> dict[str, tuple[str, tuple[str, ...]]]:
    """The initial API keys by name, with their roles."""
    return {
        "marketing": (secrets.api_marketing, (keys.PREDICT, keys.OUTCOMES)),
        "admin": (secrets.api_admin, (keys.ADMIN,)),
        "airflow": (secrets.api_airflow, keys.ROLES),
    }


@app.command()
def main(
    root: Annotated[Path, typer.Option(help="Folder of the vault and of each service's folder.")] = ROOT,
    places: Annotated[Path, typer.Option(help="Folder of the volumes that services keep data in.")] = PLACES,
    grafana: Annotated[Path, typer.Option(help="Folder that Grafana reads of the clone.")] = GRAFANA_FILES,
    renew: Annotated[list[str] | None, typer.Option(help="A secret to renew, like postgres_reader.")] = None,
) -> None:
    """Make the secrets of a stack with Docker Compose."""
    with console.progress() as progress:
        check_names(dict.fromkeys(os.environ.get(SHELL, "").split(), ""))
        settings = open_settings()
        addresses = urls(settings.gateway, settings.links, settings.stack, publication(os.environ))
        make(root, settings.store, addresses, progress, renew or ())
        for lack in (*shortfalls(WITH_DOCKER, Machine.this()), *disk_shortfall(root)):
            progress(f"this machine has {lack.present:.2g} {lack.what}, {lack.needed:g} are needed: services may fail")
        change_owner(places)
        open_to_readers(grafana)


def _refuse_a_lost_vault(root: Path) -> None:
    """Raise ConfigError if the vault is lost: with new secrets, the servers' existing data could not be used."""
    if not vault(root).exists() and (root / "postgres" / "password").exists():
        raise ConfigError(
            f"{vault(root)} is missing, and the servers use its secrets: restore the volume, "
            "or remove all volumes to start over (`docker compose down --volumes`)"
        )


def _renewed(path: Path, names: Sequence[str]) -> Credentials:
    """The secrets, with those in `names` renewed. Raises ConfigError if one cannot be renewed."""
    present = credentials(path)
    renewable = {field.name for field in fields(Credentials)} - _NOT_RENEWABLE
    if refused := sorted(set(names) - renewable):
        raise ConfigError(f"cannot renew {', '.join(refused)}: renewable are {', '.join(sorted(renewable))}")
    if not names:
        return present
    fresh = random_credentials()
    renewed = replace(present, **{name: getattr(fresh, name) for name in names})
    write_private(path, json.dumps(asdict(renewed), indent=1))
    return renewed


def _lay_out(folder: Path, part: ServiceSecrets, owner: int | None) -> int:
    """Write the files of a service that differ, and remove all others; returns how many were written."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for path in folder.iterdir():
        if path.name not in part.files and not path.is_dir():
            path.unlink()
    changed = {name: content for name, content in part.files.items() if not _holds(folder / name, content)}
    for name, content in changed.items():
        replace_file(folder / name, content.encode(), owner)
    _own(folder, owner)
    return len(changed)


def _holds(path: Path, content: str) -> bool:
    return path.is_file() and path.read_bytes() == content.encode()


def _own(folder: Path, owner: int | None) -> None:
    """Make a folder and its files accessible to their owner only."""
    for path in (folder, *folder.iterdir()):
        now = path.lstat()
        mode = 0o700 if stat.S_ISDIR(now.st_mode) else 0o600
        if owner is not None and (now.st_uid, now.st_gid) != (owner, owner):
            os.chown(path, owner, owner, follow_symlinks=False)
        if stat.S_IMODE(now.st_mode) != mode and not stat.S_ISLNK(now.st_mode):
            path.chmod(mode)


if __name__ == "__main__":
    console.run(app)
