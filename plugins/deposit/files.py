"""Files that the processes of a stack share: their paths, atomic replacement, checksums, heartbeats and locks."""

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

_MAX_HOLDER_BYTES = 400


@dataclass(frozen=True)
class StateFolder:
    """The state folder of a stack: paths that its processes share (`deploy.layout` adds those of its servers).

    >>> StateFolder(Path("/srv/deposit")).spool_of(2).as_posix()
    '/srv/deposit/spool/spool-2.sqlite'
    """

    root: Path

    @property
    def secrets(self) -> Path:
        """Secrets of the stack without Docker, created on its first start."""
        return self.root / "secrets.json"

    @property
    def settings_file(self) -> Path:
        """Settings of the running stack, which `deposit` commands read."""
        return self.root / "settings.env"

    @property
    def logs(self) -> Path:
        """Log files of all programs."""
        return self.root / "logs"

    @property
    def spools(self) -> Path:
        """Spools of the prediction log: services write them, the shipper empties them."""
        return self.root / "spool"

    def spool_of(self, replica: int) -> Path:
        """Spool of the services of one replica; the first keeps the name from before there were replicas."""
        return self.spools / ("spool.sqlite" if replica == 1 else f"spool-{replica}.sqlite")

    @property
    def uploads(self) -> Path:
        """Lists that are being ranked; next to the spools, the only folder that a service may write to."""
        return self.spools / "uploads"

    @property
    def catalog(self) -> Path:
        """List of the registered models."""
        return self.root / "catalog.json"

    @property
    def scoring(self) -> Path:
        """Unfinished runs of batch scoring."""
        return self.root / "scoring"

    @property
    def archive(self) -> Path:
        """Months of the archive that are being written or read."""
        return self.root / "archive"

    @property
    def workspace(self) -> Path:
        """Workspace that Evidently's UI shows."""
        return self.root / "workspace"

    @property
    def caddy(self) -> Path:
        """Configuration and state of the gateway."""
        return self.root / "caddy"

    @property
    def serving(self) -> Path:
        """Unpacked Bentos of the services."""
        return self.root / "serving"

    @property
    def service_key(self) -> Path:
        """Secret key of the services for the object store."""
        return self.root / "serving.key"

    @property
    def supervisor(self) -> Path:
        """Configuration of supervisor."""
        return self.root / "supervisor"

    @property
    def services(self) -> Path:
        """Program sections of the services, which supervisor includes."""
        return self.supervisor / "conf.d"


def replace_file(path: Path, content: bytes, owner: int | None = None) -> None:
    """Atomically replace a file by one that only its owner can read, and flush its content to disk first.

    `owner` is the numeric user and group to give the new file to; the process needs the right to do so.
    Without it, a file that root replaces keeps its owner and group, whose processes read it.
    """
    descriptor, fresh = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            if owner is not None:
                os.fchown(descriptor, owner, owner)
            elif os.geteuid() == 0 and path.exists():
                before = path.stat()
                os.fchown(descriptor, before.st_uid, before.st_gid)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(fresh).replace(path)
    except BaseException:
        Path(fresh).unlink(missing_ok=True)
        raise


def beat(path: Path | None) -> None:
    """Update the modification time of a file, if one is set: the heartbeat of a loop that has no port to probe."""
    if path is not None:
        path.touch()


@contextmanager
def exclusive(lock: Path, on_wait: Callable[[str], None] | None = None) -> Iterator[None]:
    """Let one process at a time run this block; `lock` is a file for this purpose alone, created if missing.

    If the lock is held, `on_wait` is called once with its holder (process, host, time), which is known only if the
    holder passed an `on_wait` itself. Raises OSError if the file cannot be created.
    """
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if on_wait is not None:
                on_wait(os.pread(descriptor, _MAX_HOLDER_BYTES, 0).decode(errors="replace") or "another process")
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
    """Hexadecimal sha256 of a file, which need not fit into memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
