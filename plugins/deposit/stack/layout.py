"""Where the stack without Docker keeps what: one folder, and the ports of its parts."""

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from deposit.settings import Settings

_SOCKET_PATH_LIMIT = 90
"""Unix sockets' paths hold 107 bytes; supervisor adds a suffix of its own while it starts."""


@dataclass(frozen=True)
class Layout:
    """The folders and files of one stack."""

    root: Path

    @property
    def logs(self) -> Path:
        """Every part's log."""
        return self.root / "logs"

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
    def airflow(self) -> Path:
        """Airflow's home."""
        return self.root / "airflow"

    @property
    def caddy(self) -> Path:
        """The gateway's configuration and state."""
        return self.root / "caddy"

    @property
    def supervisor(self) -> Path:
        """The supervisor's configuration."""
        return self.root / "supervisor"

    @property
    def secrets(self) -> Path:
        """The stack's secrets."""
        return self.root / "secrets.json"

    @property
    def keys(self) -> Path:
        """The API keys."""
        return self.root / "keys.json"

    @property
    def settings_file(self) -> Path:
        """The settings that `deposit` commands read."""
        return self.root / "settings.env"

    @property
    def sockets(self) -> Path:
        """Unix sockets: in the state folder, or in a private short one if that path is too long for a socket."""
        inside = self.root / "run"
        if len(os.fsencode(inside)) <= _SOCKET_PATH_LIMIT:
            return inside
        digest = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"deposit-{os.getuid()}-{digest}"

    @property
    def supervisor_socket(self) -> Path:
        """The supervisor's control socket."""
        return self.sockets / "supervisor.sock"

    @property
    def gateway_socket(self) -> Path:
        """Caddy's admin API."""
        return self.sockets / "caddy.sock"

    def make(self) -> None:
        """Make the folders that are missing."""
        # passable but not readable by others: PostgreSQL runs as a user of its own when we are root
        self.root.mkdir(parents=True, exist_ok=True, mode=0o711)
        for folder in (self.logs, self.objects, self.airflow, self.caddy, self.supervisor / "conf.d", self.sockets):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)


def layout(settings: Settings) -> Layout:
    """The layout under the settings' state folder."""
    return Layout(settings.state_dir.resolve())
