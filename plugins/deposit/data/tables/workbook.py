"""Read and write workbooks in separate processes, whose failures do not affect the service."""

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
"""Memory limit of such a process in bytes; reading 100,000 rows of 20 columns takes 200 MB, writing them 40."""
_DAMAGED = "this is not a complete, readable .xlsx file: save it again in the spreadsheet, or as CSV"
_MOST_SHOWN = 2000


class Exit(IntEnum):
    """Exit codes of such a process; any other code means that it failed."""

    WHOLE = 0
    REFUSED = 3
    """The reason is on standard error."""
    MEMORY = 4


_LIMIT_EXCEEDED = (Exit.MEMORY, -signal.SIGABRT, -signal.SIGKILL, -signal.SIGXCPU)
"""Exit codes of a process that exceeded its limit of memory (Rust aborts) or of CPU time."""


def csv_of_workbook(file: IO[bytes], new: NewFile, limit: int | None = None) -> IO[bytes]:
    """Write the first visible sheet as a CSV with `;`, row n on line n, to a file from `new()`, and close `file`.

    Raises SourceError, or TooLargeError if the CSV exceeds `limit` bytes or the process its own limits.
    """
    from deposit.data.tables import sheet  # imports this module, and a library of 5 MB that few services need

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
    """Run `module` as a program that converts `file`, and write its output to `target`.

    Raises SourceError, with the program's own reason or with `failure`, or TooLargeError.
    """
    with _on_disk(file) as source, tempfile.TemporaryFile() as complaint:
        status = _run([sys.executable, "-m", module, *arguments], source, target, complaint, limit)
        complaint.seek(0)
        text = complaint.read(_MOST_SHOWN).decode(errors="replace")
    if status == Exit.REFUSED:
        raise SourceError(text)
    if status in _LIMIT_EXCEEDED:
        raise TooLargeError("this is too large for a workbook: use CSV, or split it")
    if status:
        _log.warning("%s failed with exit code %s: %s", module, status, text.strip().rpartition("\n")[2])
        raise SourceError(failure)


def run_conversion(work: Callable[[], None], seconds: int) -> Exit:
    """Run `work` as the main function of such a process and return the exit code; standard output is left to `work`.

    The kernel ends the process if it exceeds its memory limit or `seconds` of CPU time.
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
    with suppress(ValueError, OSError):  # macOS cannot limit the address space
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
    """Run the program and return its exit code."""
    # nothing else of this process's environment, which may hold secrets
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
