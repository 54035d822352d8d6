"""Where the stack without Docker keeps what: one folder, and a short one for sockets where its path is odd."""

import hashlib
import os
import re
import stat
import sys
from dataclasses import dataclass
from pathlib import Path

from deposit.errors import ConfigError
from deposit.files import StateFolder
from deposit.settings import REPOSITORY

MODELS, AIRFLOW = Path(sys.prefix), REPOSITORY / ".venv-airflow"
"""The environments that the parts run in."""
_SOCKET_FOLDER_LIMIT = 80
"""Unix sockets' paths hold 107 bytes (104 on macOS); supervisor adds a suffix of its own while it starts."""
_PLAIN = re.compile(r"[\w./+-]+", re.ASCII)
"""Paths that every part reads alike; in the address of a socket Caddy has a meaning for `|` and `{`."""
_SHORT = Path("/tmp")  # noqa: S108 - the folder in it is private, and checked
"""Not TMPDIR nor XDG_RUNTIME_DIR: they differ from shell to shell, and the latter goes when its user logs out."""
_UNUSABLE = re.compile(r"[*?\[{}$\n]")
"""What is no text to one of the parts: to supervisor a pattern or a line's end, to Caddy and Airflow a variable."""


@dataclass(frozen=True)
class Layout(StateFolder):
    """The folders and files of one stack, those of its servers included."""

    @property
    def cluster(self) -> Path:
        """PostgreSQL's data."""
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
        """What keeps strangers from the object store's inner ports."""
        return self.root / "objectstore"

    @property
    def airflow(self) -> Path:
        """Airflow's home."""
        return self.root / "airflow"

    @property
    def grafana(self) -> Path:
        """Grafana's data, and what it reads at its start."""
        return self.root / "grafana"

    @property
    def keys(self) -> Path:
        """The API keys."""
        return self.root / "keys.json"

    @property
    def lock(self) -> Path:
        """Held by who starts or stops the stack."""
        return self.root / "stack.lock"

    @property
    def sockets(self) -> Path:
        """Unix sockets: in the state folder, or in a private short one if that path is too long or too odd."""
        inside = self.root / "run"
        if len(os.fsencode(inside)) <= _SOCKET_FOLDER_LIMIT and _PLAIN.fullmatch(str(inside)):
            return inside
        digest = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:12]
        return _SHORT / f"deposit-{os.getuid()}-{digest}"

    def script(self, environment: Path, name: str) -> list[str]:
        """The command of a Python program in an environment, by a path that all it imports can bear.

        Alembic, in MLflow and Airflow, takes a `%` in its packages' path for its own: an odd path goes by a link.
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
        """Make the folders that are missing. Raises ConfigError if the path, or what is there, cannot be used."""
        if _UNUSABLE.search(str(self.root)):
            raise ConfigError(
                f"the stack cannot keep its data in {str(self.root)!r}: a path with one of * ? [ {{ }} $ or the end of "
                "a line means something else to its parts; set DEPOSIT_STATE_DIR"
            )
        folders = (
            self.root, self.logs, self.objects, self.guard, self.airflow, self.grafana, self.caddy,
            self.supervisor, self.services, self.serving, self.sockets,
        )  # fmt: skip
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _require_private(self.sockets)
        for environment in (MODELS, AIRFLOW):
            link = self._by_plain_path(environment)
            if link != environment and not link.is_symlink():
                link.symlink_to(environment)

    def clear_sockets(self) -> None:
        """Remove what a stack that has ended left among its sockets, and their folder where it is a short one."""
        if not self.sockets.is_dir():
            return
        _require_private(self.sockets)
        for path in self.sockets.iterdir():
            path.unlink()
        if self.sockets.parent == _SHORT:
            self.sockets.rmdir()


def _require_private(folder: Path) -> None:
    """Raise ConfigError if a folder is another user's or open to others: who made it could listen in it."""
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o077:
        raise ConfigError(f"{folder} is not a private folder of this user (0700): remove it, it is for sockets alone")
