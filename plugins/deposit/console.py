"""Terminal output of commands: progress, tables, one-line errors, JSON on request."""

import dataclasses
import errno
import logging
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.table import Table

from deposit.errors import DepositError
from deposit.progress import Progress

_PLAIN_WIDTH = 160
"""Width of tables that are written to a file or a pipe, which have none of their own."""

_MAX_CHARACTERS, _MAX_DETAILS = 200, 10

_FREE_SPACE = "free some space for the stack's data and for temporary files (TMPDIR), and run the command again"
_REMEDIES = {
    errno.EROFS: "make it writable, or set DEPOSIT_STATE_DIR or TMPDIR, whichever is on it",
    errno.ENOSPC: _FREE_SPACE,
    errno.EDQUOT: _FREE_SPACE,
    errno.EFBIG: "raise this shell's limit for the size of a file (ulimit -f), and run the command again",
    errno.EMFILE: "raise this shell's limit for open files (ulimit -n 1024), and run the command again",
}
"""What to do about errors of the operating system that are no bugs, by errno; `run` handles PermissionError itself."""

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
"""The option `--json` that commands share."""

out = Console(highlight=False, width=None if sys.stdout and sys.stdout.isatty() else _PLAIN_WIDTH)
err = Console(stderr=True, highlight=False)


@contextmanager
def progress() -> Iterator[Progress]:
    """Progress on standard error: bars in a terminal, plain lines otherwise."""
    if not err.is_terminal:
        yield _plain_line
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Bars(*columns, console=err, transient=True) as bars:
        task = bars.add_task("", total=None)

        def show(message: str, done: int = 0, total: int = 0) -> None:
            if not total:
                bars.console.print(f"  {message}")
            bars.update(task, description=message, completed=done, total=total or None)

        yield show


def _plain_line(message: str, done: int = 0, total: int = 0) -> None:
    err.print(f"  {message}" + (f" ({done} of {total})" if total else ""), markup=False, soft_wrap=True)


def table(title: str, columns: list[str], rows: list[list[Any]]) -> None:
    """Print a table."""
    shown = Table(title=title, title_justify="left", show_edge=False)
    for column in columns:
        shown.add_column(column, overflow="fold")
    for row in rows:
        shown.add_row(*("" if cell is None else str(cell) for cell in row))
    out.print(shown)


def shown(value: object) -> str:
    """Format a number or a text as a table cell; a dash for None and NaN."""
    if value is None or value != value:  # NaN is not itself
        return "-"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def json(value: Any) -> None:
    """Print a result as JSON."""
    sys.stdout.write(orjson.dumps(value, default=_plain, option=orjson.OPT_INDENT_2).decode() + "\n")


def error(message: str) -> None:
    """Print an error as one line of at most 200 characters; a longer one in full, then again without its middle."""
    sentence = " ".join(message.split())
    line = f"error: {sentence}"
    if len(line) > _MAX_CHARACTERS:
        _print_plain(sentence)
        half = (_MAX_CHARACTERS - 3) // 2  # messages begin with what is wrong and end with what to do
        line = f"{line[:half]} … {line[-half:]}"
    err.print(line, style="bold red", markup=False, soft_wrap=True)


def report(failure: DepositError) -> None:
    """Print an error of our own: at most ten details, where all of them are, and the message last."""
    lines = [" ".join(str(detail).split()) for detail in failure.details]
    for line in lines[:_MAX_DETAILS]:
        _print_plain(f"  {line if len(line) <= _MAX_CHARACTERS else line[: _MAX_CHARACTERS - 1] + '…'}")
    if len(lines) > _MAX_DETAILS or (failure.kept and lines):
        more = f"and {len(lines) - _MAX_DETAILS} more; " if len(lines) > _MAX_DETAILS else ""
        _print_plain(f"  {more}all of them: {failure.kept or _written(lines)}")
    error(str(failure))


def _print_plain(line: str) -> None:
    err.print(line, markup=False, soft_wrap=True)


def _written(lines: list[str]) -> Path:
    """Write all details of an error to a temporary file, and return its path."""
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", prefix="deposit-", suffix=".txt", delete=False) as file:
        file.writelines(f"{line}\n" for line in lines)
    return Path(file.name)


def run(app: Callable[[], Any]) -> None:
    """Run a command; our own errors, and those of the operating system with a remedy, end in one line and exit code 1.

    Any other exception keeps its traceback.
    """
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        app()
    except DepositError as failure:
        report(failure)
        raise SystemExit(1) from None
    except PermissionError as failure:
        error(f"{failure.filename}: {failure.strerror}: run this as the owner of the stack, or correct the permissions")
        raise SystemExit(1) from None
    except OSError as failure:
        if failure.errno not in _REMEDIES:
            raise
        where = f"{failure.filename}: " if failure.filename else ""  # writing to an open file names none
        error(f"{where}{failure.strerror}: {_REMEDIES[failure.errno]}")
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        error("interrupted; run the command again to go on")
        raise SystemExit(130) from None


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"cannot print {type(value).__name__} as JSON")
