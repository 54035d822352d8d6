"""Workbooks, read and written by processes of their own: they may fail without taking the service with them."""

import io
import logging
import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from enum import IntEnum
from typing import IO

from deposit.data.tables.unpacking import NewFile, copy, owned
from deposit.errors import DataError, SourceError, TooLargeError

_log = logging.getLogger(__name__)
MEMORY = 640 * 2**20
"""Bytes that such a process may have; 100,000 rows of 20 columns take 200 MB to be read, 40 to be written."""
_DAMAGED = "this is no whole .xlsx that can be read: save it again in the spreadsheet, or as CSV"
_MOST_SHOWN = 2000


class Exit(IntEnum):
    """How such a process ends; any other code means that it failed."""

    WHOLE = 0
    REFUSED = 3
    """Its reason stands on standard error."""
    MEMORY = 4


_TOO_MUCH = (Exit.MEMORY, -signal.SIGABRT, -signal.SIGKILL, -signal.SIGXCPU)
"""Ends of a process that asked for more memory than it may have (Rust aborts), or for more time."""


def csv_of_workbook(file: IO[bytes], new: NewFile, limit: int | None = None) -> IO[bytes]:
    """The first visible sheet as a CSV with `;` whose line n is row n, in one of `new`; `file` is closed.

    Raises SourceError or TooLargeError (above `limit` bytes as CSV, or more than is read at once).
    """
    from deposit.data.tables import sheet  # which imports this module, and the library: 5 MB that few services need

    target = new()
    with owned(target):
        convert(sheet.__name__, file, target, _DAMAGED, limit=limit)
    file.close()
    target.flush()
    return target


def convert(
    module: str,
    file: IO[bytes],
    target: IO[bytes],
    failure: str,
    *,
    arguments: Sequence[str] = (),
    limit: int | None = None,
) -> None:
    """Write to `target` what a module, run as a program of its own, makes of a file.

    Raises SourceError (its own reason, or `failure`) or TooLargeError.
    """
    with _on_disk(file) as source, tempfile.TemporaryFile() as complaint:
        status = _run([sys.executable, "-m", module, *arguments], source, target, complaint, limit)
        complaint.seek(0)
        text = complaint.read(_MOST_SHOWN).decode(errors="replace")
    if status == Exit.REFUSED:
        raise SourceError(text)
    if status in _TOO_MUCH:
        raise TooLargeError("this is too large for a workbook: use CSV, or split it")
    if status:
        _log.warning("%s failed with exit code %s: %s", module, status, text.strip().rpartition("\n")[2])
        raise SourceError(failure)


def run_conversion(work: Callable[[], None], seconds: int) -> Exit:
    """The whole of such a process, whose standard output gets nothing but what `work` writes; `seconds` of processor.

    The kernel ends it where it asks for too much.
    """
    _limit(seconds)
    try:
        work()
    except DataError as refusal:
        sys.stderr.write(str(refusal))
        return Exit.REFUSED
    except MemoryError:
        return Exit.MEMORY
    return Exit.WHOLE


def _limit(seconds: int) -> None:
    with suppress(ValueError, OSError):  # macOS limits no address space
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))


@contextmanager
def _on_disk(file: IO[bytes]) -> Iterator[IO[bytes]]:
    if not isinstance(file, io.BytesIO):
        yield file
        return
    with tempfile.TemporaryFile() as copied:
        copied.write(file.getbuffer())
        copied.flush()
        yield copied


def _run(command: list[str], source: IO[bytes], target: IO[bytes], complaint: IO[bytes], limit: int | None) -> int:
    """The process's exit code."""
    # of this process's environment, which may hold secrets, it gets nothing else
    environment = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONUTF8": "1"}
    with subprocess.Popen(
        command, stdin=source, stdout=subprocess.PIPE, stderr=complaint, env=environment, cwd="/"
    ) as process:
        try:
            copy(process.stdout, target, limit)  # type: ignore[arg-type]  # it is a pipe
        except BaseException:
            process.kill()
            raise
    return process.returncode
