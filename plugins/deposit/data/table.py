"""CSV text as chunks of raw rows, each with its line number."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd

from deposit.data.contract import OPTIONAL, REQUIRED, check_columns
from deposit.errors import ContractError, SourceError

CHUNK_ROWS = 20_000
_Row = tuple[int, int, list[str]]
_SEPARATORS = {";": "`;`", ",": "`,`"}
_OTHERS = {"\t": "tabs", "|": "`|`", ":": "`:`", " ": "spaces"}


@dataclass(frozen=True)
class Chunk:
    """Raw rows (all text, indexed by line; `id` is the row's number unless the source has its own).

    `malformed` are rows with too few or too many fields: the same columns, and `reason`.
    """

    rows: pd.DataFrame
    malformed: pd.DataFrame


def read(path: Path, where: str, chunk_rows: int = CHUNK_ROWS) -> Iterator[Chunk]:
    """Chunks of a UTF-8 CSV file separated by `;` or `,`; `where` names it in messages.

    Raises SourceError (empty, not UTF-8, not CSV) or ContractError (separator, columns, no rows).
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            yield from _chunks(stream, where, chunk_rows)
    except UnicodeDecodeError as error:
        line, byte, value = _undecodable(path)
        raise SourceError(
            f"{where}: line {line}, byte {byte} (0x{value:02x}) is not UTF-8: save the file as UTF-8"
        ) from error
    except csv.Error as error:
        raise SourceError(f"{where}: not a CSV file ({error}): look for a quote that is not closed") from error


def separator(header: str, where: str) -> str:
    """The separator that gives most of the known columns. Raises ContractError if the header uses another one."""
    known = {*REQUIRED, *OPTIONAL}
    found = {
        sign: sum(name.strip() in known for name in next(csv.reader([header], delimiter=sign)))
        for sign in (*_SEPARATORS, *_OTHERS)
    }
    best = max(found, key=lambda sign: found[sign])
    if best in _OTHERS:
        raise ContractError(f"{where}: the columns are separated by {_OTHERS[best]}: save the file with `;` or `,`")
    return best


def _chunks(stream: Any, where: str, chunk_rows: int) -> Iterator[Chunk]:
    header = stream.readline()
    if not header.strip():
        raise SourceError(
            f"{where}: the {'first line' if header else 'file'} is empty: the columns' names belong there"
        )
    sign = separator(header, where)
    names = next(csv.reader([header], delimiter=sign))
    check_columns(names, where)
    rows = _numbered(csv.reader(stream, delimiter=sign))
    empty = True
    while taken := list(islice(rows, chunk_rows)):
        yield _chunk(taken, names, sign)
        empty = False
    if empty:
        raise ContractError(f"{where}: there is a header but no row under it")


def _numbered(reader: Any) -> Iterator[_Row]:
    """Rows with their number and the line that they start on (the header is line 1); empty lines are passed over."""
    number, line = 1, 2
    for fields in reader:
        if fields:
            yield number, line, fields
            number += 1
        line = reader.line_num + 2


def _chunk(taken: list[_Row], names: list[str], sign: str) -> Chunk:
    width = len(names)
    whole = [row for row in taken if len(row[2]) == width]
    broken = [row for row in taken if len(row[2]) != width] if len(whole) < len(taken) else []
    reasons = [f"{len(fields)} fields: {width} separated by `{sign}` are expected" for _, _, fields in broken]
    fitted = [(number, line, _fit(fields, width, sign)) for number, line, fields in broken]
    return Chunk(_frame(whole, names), _frame(fitted, names).assign(reason=reasons))


def _frame(rows: list[_Row], names: list[str]) -> pd.DataFrame:
    index = pd.Index([line for _, line, _ in rows], name="line", dtype="int64")
    frame = pd.DataFrame([fields for _, _, fields in rows], columns=names, index=index, dtype=object)
    if "id" not in frame:
        frame.insert(0, "id", pd.Series([str(number) for number, _, _ in rows], index=index, dtype=object))
    return frame


def _fit(fields: list[str], width: int, sign: str) -> list[str]:
    """A row of any length as `width` fields; what is too much stays in the last one."""
    padded = fields + [""] * (width - len(fields))
    return [*padded[: width - 1], sign.join(padded[width - 1 :])]


def _undecodable(path: Path) -> tuple[int, int, int]:
    """Line, byte in the line (both from 1) and value of the first byte that is not UTF-8."""
    with path.open("rb") as stream:
        for number, line in enumerate(stream, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                return number, error.start + 1, line[error.start]
    raise SourceError(f"{path}: changed while it was read")
