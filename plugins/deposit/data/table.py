"""Read a source's rows as text, in chunks, with the line of each row."""

import csv
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from deposit.data.contract import ALIASES, OPTIONAL, REQUIRED, check_columns
from deposit.data.tables.dialect import Dialect, dialect_of
from deposit.data.tables.header import Header, read_header
from deposit.data.tables.plaintext import plain_csv
from deposit.data.tables.records import Records, find_records
from deposit.data.violations import WrongShape
from deposit.errors import ContractError, SourceError, located

CHUNK_ROWS = 20_000
_Row = tuple[int, int, list[str]]


@dataclass(frozen=True)
class Chunk:
    """Raw rows: all text, indexed by line; `id` is the row's number unless the source has ids of its own.

    `malformed` holds the rows with too few or too many fields, fitted into the same columns, and `violations` says how
    many fields they have. With `decimal_comma`, `4,5` is a number. `dialect` is that of the whole file.
    """

    rows: pd.DataFrame
    malformed: pd.DataFrame
    violations: list[WrongShape]
    decimal_comma: bool
    dialect: Dialect


def read(path: Path, where: str, chunk_rows: int = CHUNK_ROWS, codec: str | None = None) -> Iterator[Chunk]:
    """Yield the rows of a table file in chunks; every line of the file is in a chunk or blank.

    `where` names the file in messages. `codec` is the encoding if the file is text; None means UTF-8.

    Raises SourceError (the file cannot be read, or a quote swallows other rows) or ContractError (wrong columns, no
    rows, or a last row that was cut off).
    """
    with located(where):
        text = plain_csv(path.open("rb"), tempfile.TemporaryFile, codec=codec)
    with located(where), text.file as file:
        header = read_header(file, (*REQUIRED, *OPTIONAL), ALIASES)
        check_columns([column or name for name, column in zip(header.names, header.columns, strict=True)])
        records, dialect = find_records(file, header), dialect_of(header, text.codec)
        if not len(records):
            raise ContractError("there is a header but no row under it")
        for first in range(0, len(records), chunk_rows):
            last = min(first + chunk_rows, len(records))
            fields = _fields(records.texts(file, first, last), header, int(records.lines[first]))
            lines = records.lines[first:last].tolist()
            rows = list(zip(range(first + 1, last + 1), lines, fields, strict=True))
            if last == len(records):
                _refuse_cut(rows[-1], records, header)
            yield _chunk(rows, header, dialect)


def _fields(texts: list[str], header: Header, line: int) -> list[list[str]]:
    try:
        return list(csv.reader(texts, delimiter=header.separator))
    except csv.Error as error:
        raise SourceError(f"a cell from line {line} on is longer than 128 KiB: this is not a table") from error


def _refuse_cut(row: _Row, records: Records, header: Header) -> None:
    """Refuse a file that an aborted download cut off; its missing rows would otherwise go unnoticed."""
    _, line, fields = row
    if records.cut and len(fields) < len(header.names):
        raise ContractError(
            f"line {line}: {_misshapen(line, fields, header)}, and the line has no end: the file was cut off, "
            "fetch the whole file"
        )


def _chunk(rows: list[_Row], header: Header, dialect: Dialect) -> Chunk:
    width, names = len(header.names), [column or "" for column in header.columns]
    whole = [row for row in rows if len(row[2]) == width]
    broken = [row for row in rows if len(row[2]) != width] if len(whole) < len(rows) else []
    violations = [_misshapen(line, fields, header) for _, line, fields in broken]
    fitted = [(number, line, _fit(fields, width, header.separator)) for number, line, fields in broken]
    return Chunk(_frame(whole, names), _frame(fitted, names), violations, header.decimal_comma, dialect)


def _misshapen(line: int, fields: list[str], header: Header) -> WrongShape:
    return WrongShape(line, len(fields), len(header.names), header.separator)


def _frame(rows: list[_Row], names: list[str]) -> pd.DataFrame:
    index = pd.Index([line for _, line, _ in rows], name="line", dtype="int64")
    frame = pd.DataFrame([fields for _, _, fields in rows], columns=names, index=index, dtype=object)
    frame = frame.drop(columns="") if "" in names else frame  # drops columns without a name
    if "id" not in frame:
        frame.insert(0, "id", pd.Series([str(number) for number, _, _ in rows], index=index, dtype=object))
    return frame


def _fit(fields: list[str], width: int, sign: str) -> list[str]:
    """Fit a row of any length into `width` fields; surplus fields are joined into the last one."""
    padded = fields + [""] * (width - len(fields))
    return [*padded[: width - 1], sign.join(padded[width - 1 :])]
