"""Folders and files of the stack without Docker: its state folder, and a short one for sockets if needed."""

import hashlib
import os
import pwd
import re
import stat
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from deposit.errors import ConfigError
from deposit.files import StateFolder
from deposit.settings import REPOSITORY

MODELS, AIRFLOW = Path(sys.prefix), REPOSITORY / ".venv-airflow"
"""The virtual environments that the services run in."""
_SOCKET_FOLDER_LIMIT = 80
"""Unix sockets' paths hold 107 bytes (104 on macOS); supervisor adds a suffix of its own while it starts."""
_PLAIN = re.compile(r"[\w./+-]+", re.ASCII)
"""Paths that every service reads alike; in the address of a socket `|` and `{` have a meaning for Caddy."""
_SHORT = Path("/tmp")  # noqa: S108 - the folder in it is private, and checked
"""Not TMPDIR or XDG_RUNTIME_DIR: they differ between shells, and the latter is removed when its user logs out."""
_UNUSABLE = re.compile(r"[*?\[{}$\n]")
"""Characters with a meaning for a service: a pattern or a line end for supervisor, a variable for Caddy and Airflow."""


@dataclass(frozen=True)
class Layout(StateFolder):
    """The folders and files of one stack, including those of its servers."""

    @property
    def cluster(self) -> Path:
        """PostgreSQL's data directory."""
        return self.root / "postgres"

    @property
    def objects(self) -> Path:
        """The object store's data."""
        return self.root / "objects"

    @property
    def identities(self) -> Path:
        """The object store's keys."""
        return self.root / "objectstore.json"

    @property
    def guard(self) -> Path:
        """Security files that protect the object store's internal ports."""
        return self.root / "objectstore"

    @property
    def airflow(self) -> Path:
        """Airflow's home."""
        return self.root / "airflow"

    @property
    def grafana(self) -> Path:
        """Grafana's data and provisioning files."""
        return self.root / "grafana"

    @property
    def keys(self) -> Path:
        """The API keys."""
        return self.root / "keys.json"

    @property
    def lock(self) -> Path:
        """Lock file, held while the stack is started or stopped."""
        return self.root / "stack.lock"

    @property
    def sockets(self) -> Path:
        """Folder of the unix sockets: in the state folder, or a short private one if its path is too long or odd."""
        inside = self.root / "run"
        if len(os.fsencode(inside)) <= _SOCKET_FOLDER_LIMIT and _PLAIN.fullmatch(str(inside)):
            return inside
        digest = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:12]
        return _SHORT / f"deposit-{os.getuid()}-{digest}"

    def script(self, environment: Path, name: str) -> list[str]:
        """The command line of a Python program in a virtual environment, by a symbolic link if its path is odd.

        Alembic, in MLflow and Airflow, would interpolate a `%` in the path of its packages.
        """
        folder = self._by_plain_path(environment) / "bin"
        return [str(folder / "python"), str(folder / name)]

    def _by_plain_path(self, environment: Path) -> Path:
        return environment if _PLAIN.fullmatch(str(environment)) else self.sockets / environment.name

    @property
    def supervisor_socket(self) -> Path:
        """The supervisor's control socket."""
        return self.sockets / "supervisor.sock"

    @property
    def gateway_socket(self) -> Path:
        """Caddy's admin API."""
        return self.sockets / "caddy.sock"

    def make(self) -> None:
        """Create the folders that are missing. Raises ConfigError if the path or an existing folder cannot be used."""
        if _UNUSABLE.search(str(self.root)):
            raise ConfigError(
                f"the stack cannot keep its data in {str(self.root)!r}: a path with one of * ? [ {{ }} $ or the end of "
                "a line means something else to its parts; set DEPOSIT_STATE_DIR"
            )
        self._require_owner()
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        _require_permissions(self.root)
        folders = (
            self.logs, self.objects, self.guard, self.airflow, self.grafana, self.caddy,
            self.supervisor, self.services, self.serving, self.sockets,
        )  # fmt: skip
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _require_private(self.sockets)
        for environment in (MODELS, AIRFLOW):
            link = self._by_plain_path(environment)
            if link != environment and not link.is_symlink():
                link.symlink_to(environment)

    def _require_owner(self) -> None:
        """Raise ConfigError if another user created the stack: its processes could not read this one's files."""
        if not self.secrets.exists():
            return
        owner = self.secrets.stat().st_uid
        if owner != os.geteuid():
            raise ConfigError(
                f"the stack in {self.root} was created by the user {_user_name(owner)}: run this as that user, or set "
                "DEPOSIT_STATE_DIR for another stack"
            )

    def clear_sockets(self) -> None:
        """Remove the sockets that a stopped stack left behind, and their folder if it is the short one."""
        if not self.sockets.is_dir():
            return
        _require_private(self.sockets)
        for path in self.sockets.iterdir():
            path.unlink()
        if self.sockets.parent == _SHORT:
            self.sockets.rmdir()


def _user_name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:  # created in a container or on another machine
        return str(user)


def _require_permissions(folder: Path) -> None:
    """Raise ConfigError if the file system ignores file modes, which would open the stack's files to everybody."""
    probe = Path(tempfile.mkdtemp(prefix=".rights-", dir=folder))
    try:
        is_open = stat.S_IMODE(probe.stat().st_mode) & 0o077
    finally:
        probe.rmdir()
    if is_open:
        raise ConfigError(
            f"the file system of {folder} ignores file permissions, as a Windows drive in WSL does: set "
            "DEPOSIT_STATE_DIR to a folder on another one"
        )


def _require_private(folder: Path) -> None:
    """Raise ConfigError if a folder belongs to another user or is open to others, who could listen on its sockets."""
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o077:
        raise ConfigError(f"{folder} is not a private folder of this user (0700): remove it, it is only for sockets")
