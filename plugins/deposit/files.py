"""The files that a stack's processes share: where they are, how they are replaced, what is in them, and locks."""

import fcntl
import hashlib
import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

_LONGEST_HOLDER = 400


@dataclass(frozen=True)
class StateFolder:
    """The folder of a stack's state: the places that its processes share (`deploy.layout` adds its servers' own).

    >>> StateFolder(Path("/srv/deposit")).spool_of(2).as_posix()
    '/srv/deposit/spool/spool-2.sqlite'
    """

    root: Path

    @property
    def secrets(self) -> Path:
        """The secrets of a stack without Docker, as old as it is."""
        return self.root / "secrets.json"

    @property
    def settings_file(self) -> Path:
        """The settings that `deposit` commands read."""
        return self.root / "settings.env"

    @property
    def logs(self) -> Path:
        """Every program's log."""
        return self.root / "logs"

    @property
    def spools(self) -> Path:
        """The spools of the prediction log: services write them, the shipper empties them."""
        return self.root / "spool"

    def spool_of(self, replica: int) -> Path:
        """The spool of the services of one replica; the first one's is where it was when there was one alone."""
        return self.spools / ("spool.sqlite" if replica == 1 else f"spool-{replica}.sqlite")

    @property
    def uploads(self) -> Path:
        """Lists that are being ranked, beside the spools: the one place that a service may write to."""
        return self.spools / "uploads"

    @property
    def catalog(self) -> Path:
        """The list of the registered models."""
        return self.root / "catalog.json"

    @property
    def scoring(self) -> Path:
        """What batch scoring has not finished."""
        return self.root / "scoring"

    @property
    def archive(self) -> Path:
        """Months of the archive that are being written or read."""
        return self.root / "archive"

    @property
    def workspace(self) -> Path:
        """What Evidently's UI shows."""
        return self.root / "workspace"

    @property
    def caddy(self) -> Path:
        """The gateway's configuration and state."""
        return self.root / "caddy"

    @property
    def serving(self) -> Path:
        """The services' Bentos, unpacked."""
        return self.root / "serving"

    @property
    def service_key(self) -> Path:
        """The services' secret key to the object store."""
        return self.root / "serving.key"

    @property
    def supervisor(self) -> Path:
        """The supervisor's configuration."""
        return self.root / "supervisor"

    @property
    def services(self) -> Path:
        """The services' programs, as the supervisor reads them."""
        return self.supervisor / "conf.d"


def replace_file(path: Path, content: bytes, owner: int | None = None) -> None:
    """Write a file that only its owner can read: whole and on the disk, or not at all.

    `owner` is the user and the group that it is given to before it is there; the process needs the right to.
    """
    descriptor, fresh = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            if owner is not None:
                os.fchown(descriptor, owner, owner)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(fresh).replace(path)
    except BaseException:
        Path(fresh).unlink(missing_ok=True)
        raise


def beat(path: Path | None) -> None:
    """Renew the time of a file, if there is one: the sign of life of a loop that has no port to ask."""
    if path is not None:
        path.touch()


@contextmanager
def exclusive(lock: Path, on_wait: Callable[[str], None] | None = None) -> Iterator[None]:
    """One process at a time in this block; `lock` is a file of its own, which is made if need be and stays.

    Who has to wait calls `on_wait` once, with which process is in the block and since when, as far as that one took
    an `on_wait` itself. Raises OSError if the file cannot be made.
    """
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if on_wait is not None:
                on_wait(os.pread(descriptor, _LONGEST_HOLDER, 0).decode(errors="replace") or "another process")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if on_wait is not None:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, _this_process().encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _this_process() -> str:
    return f"process {os.getpid()} on {socket.gethostname()}, since {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"


def file_sha256(path: Path) -> str:
    """Of a file's content, which need not fit into memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
