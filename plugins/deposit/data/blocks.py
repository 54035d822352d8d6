"""Read the rows of a customer list block by block: values of the valid rows, reasons for the rejected ones."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import compute, csv

from deposit.data.coded import CodedTexts
from deposit.data.columns import FEATURES, Category, Number
from deposit.data.readings import Reading, spelled
from deposit.data.reasons import RejectionReason, joined, reason_of
from deposit.data.tables.cells import bare
from deposit.data.tables.header import Header
from deposit.data.tables.records import Records
from deposit.errors import SourceError

ID = "id"
BLOCK_ROWS = 50_000
_DICTIONARY = pa.dictionary(pa.int32(), pa.binary())
_MAX_ID_BYTES = 512
_LINE_END = 2
"""Maximum length of a line end in bytes (CR LF)."""


class Rejected(NamedTuple):
    """A rejected row: its record number, the reason, and whether it has the right number of cells."""

    record: int
    reason: str
    in_shape: bool


@dataclass(frozen=True, eq=False)
class Block:
    """A block of rows of a list.

    Args:
        records: record numbers of the valid rows, shape (n,).
        columns: values of the valid rows by feature, shape (n,) each: float64, or `CodedTexts` for categories.
        ids: ids of the valid rows as text, null for rows without one.
        rejected: rejected rows, in order.
        readings: alternative spellings in the valid rows, with the values they were read as.
    """

    records: NDArray[np.int64]
    columns: dict[str, Any]
    ids: pa.Array
    rejected: list[Rejected]
    readings: tuple[Reading, ...] = ()


def read_blocks(
    file: IO[bytes], records: Records, header: Header, rows: int | None = None, constants: dict[str, str] | None = None
) -> Iterator[Block]:
    """Yield all rows in order, `rows` or `BLOCK_ROWS` at a time; `constants` are cells that every row gets, by column.

    Raises SourceError if the file is not a valid CSV.
    """
    step = rows or BLOCK_ROWS
    for first in range(0, len(records), step):
        last = min(first + step, len(records))
        yield _read_block(file, records, header, np.arange(first, last), constants)


def read_rows(file: IO[bytes], records: Records, header: Header, chosen: NDArray[np.int64]) -> Block:
    """Read the rows of the chosen records, in the given order."""
    return _read_block(file, records, header, chosen)


def _read_block(
    file: IO[bytes],
    records: Records,
    header: Header,
    chosen: NDArray[np.int64],
    constants: dict[str, str] | None = None,
) -> Block:
    table, misshapen = _parse(_read_content(file, records, chosen), header)
    if table is None or len(table) + len(misshapen) != len(chosen):
        line = int(records.lines[chosen[0]])
        raise SourceError(f"cannot parse the rows from line {line} on: check the quotes there")
    rejected = [_misshapen(int(chosen[number - 1]), cells, records, header) for number, cells in misshapen]
    for name, value in (constants or {}).items():
        table = table.append_column(name, pa.repeat(value, len(table)))
    kept = np.delete(chosen, [number - 1 for number, _ in misshapen])
    return check_table(table, kept, header.decimal_comma, rejected)


def check_table(
    table: pa.Table, records: NDArray[np.int64], decimal_comma: bool = False, misshapen: Sequence[Rejected] = ()
) -> Block:
    """Check a table, whose columns are named like the features and `id`, against the contract.

    Args:
        table: cells of any type; text is parsed, numbers are taken as they are, null counts as an empty cell.
        records: record number of each row, shape (n,).
        decimal_comma: whether `4,5` is a number.
        misshapen: rows that are already rejected because of their number of cells.
    """
    good = np.ones(len(table), dtype=bool)
    reasons: dict[int, list[RejectionReason]] = {}
    columns: dict[str, Any] = {}
    distinct: list[_Distinct] = []
    for column in FEATURES:
        values, wrong, cells = _values(table[column.name], column, decimal_comma)
        distinct.append(cells)
        columns[column.name] = values
        for row, reason in wrong:
            good[row] = False
            reasons.setdefault(row, []).append(reason)
    ids = _ids(table)
    longest = compute.max(compute.binary_length(ids)).as_py() or 0
    long = np.flatnonzero(compute.greater(compute.binary_length(ids), _MAX_ID_BYTES)) if longest > _MAX_ID_BYTES else ()
    for row in map(int, long):
        good[row] = False
        reasons.setdefault(row, []).append(RejectionReason(f"id is longer than {_MAX_ID_BYTES} bytes"))
    rejected = [Rejected(int(records[row]), joined(each), in_shape=True) for row, each in reasons.items()]
    if not good.all():
        columns = {name: values[good] for name, values in columns.items()}
        records, ids = records[good], ids.filter(pa.array(good))
    readings = [reading for pair in zip(FEATURES, distinct, strict=True) for reading in _readings(*pair, good)]
    return Block(records, columns, ids, sorted([*misshapen, *rejected]), tuple(readings))


def _read_content(file: IO[bytes], records: Records, chosen: NDArray[np.int64]) -> bytes:
    first, last = int(chosen[0]), int(chosen[-1])
    if last - first == len(chosen) - 1 and (np.diff(chosen) == 1).all():
        content, starts, ends = records.span(file, first, last + 1), records.starts[chosen], records.ends[chosen]
        if not (starts[1:] - ends[:-1] > _LINE_END).any():
            return content
        # skip the lines between the records, which hold only separators
        places = zip((starts - starts[0]).tolist(), (ends - starts[0]).tolist(), strict=True)
        return b"\n".join(content[start:end] for start, end in places)
    return b"\n".join(records.contents(file, chosen))


def _misshapen(record: int, cells: int, records: Records, header: Header) -> Rejected:
    width = len(header.names)
    reason = f"has {cells} cells, the header has {width}"
    if records.cut and record == len(records) - 1 and cells < width:
        reason += ", and no line end: the file was cut off here"
    return Rejected(record, reason, in_shape=False)


def _parse(content: bytes, header: Header) -> tuple[pa.Table | None, list[tuple[int, int]]]:
    """Parse the used columns, and list the rows with too many or too few cells as (row number from 1, cells).

    The table is None if Arrow cannot parse the content.
    """
    misshapen: list[tuple[int, int]] = []

    def reject(row: Any) -> str:
        misshapen.append((row.number, row.actual_columns))
        return "skip"

    names = [str(place) for place in range(len(header.names))]
    used = {str(place): name for name, place in header.places.items()}
    try:
        table = csv.read_csv(
            pa.BufferReader(content),
            csv.ReadOptions(use_threads=False, block_size=len(content) + 1, column_names=names),
            csv.ParseOptions(delimiter=header.separator, invalid_row_handler=reject, newlines_in_values=True),
            csv.ConvertOptions(
                column_types={place: pa.binary() if name == ID else _DICTIONARY for place, name in used.items()},
                include_columns=list(used),
                strings_can_be_null=False,
                check_utf8=False,
            ),
        )
    except pa.ArrowInvalid:
        return None, misshapen
    return table.rename_columns([used[place] for place in table.column_names]).combine_chunks(), misshapen


Wrong = list[tuple[int, RejectionReason]]
"""Bad rows: the row number and the reason of each."""
_Distinct = tuple[list[str], NDArray[np.int32]]
"""The distinct texts of a column, and the index of each row's text."""


def _values(cells: pa.ChunkedArray, column: Category | Number, decimal_comma: bool) -> tuple[Any, Wrong, _Distinct]:
    """Return a column's values, its bad rows, and its distinct texts (none if the cells are numbers already)."""
    if isinstance(column, Number) and (pa.types.is_integer(cells.type) or pa.types.is_floating(cells.type)):
        return *_numbers(cells, column), ([], np.empty(0, np.int32))
    texts, codes = _distinct(cells)
    values = [column.parse(text, decimal_comma) for text in texts]
    bad = {code: reason_of(column, texts[code]) for code, value in enumerate(values) if not column.contains(value)}
    rows = np.flatnonzero(np.isin(codes, list(bad))) if bad else ()
    wrong = [(int(row), bad[int(codes[row])]) for row in rows]
    if isinstance(column, Category):
        return CodedTexts(tuple(map(str, values)), codes), wrong, (texts, codes)
    numbers = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    return numbers[codes] if len(codes) else np.empty(0), wrong, (texts, codes)


def _readings(column: Category | Number, cells: _Distinct, good: NDArray[np.bool_]) -> Iterator[Reading]:
    texts, codes = cells
    values = {code: value for code, text in enumerate(texts) if (value := spelled(column, text))}
    counts = np.bincount(codes[good], minlength=len(texts)).tolist() if values else ()
    yield from (Reading(column.name, bare(texts[code]), values[code], counts[code]) for code in values if counts[code])


def _distinct(cells: pa.ChunkedArray) -> _Distinct:
    """Dictionary-encode cells of any type, so that each distinct text is parsed only once."""
    if not pa.types.is_dictionary(cells.type):
        cells = cells.cast(pa.binary() if pa.types.is_binary(cells.type) else pa.string()).dictionary_encode()
    whole = cells.unify_dictionaries().combine_chunks()
    whole = whole.chunk(0) if isinstance(whole, pa.ChunkedArray) else whole
    distinct = whole.dictionary.cast(pa.binary() if pa.types.is_binary(whole.type.value_type) else pa.string())
    texts = [text.decode(errors="replace") if isinstance(text, bytes) else text for text in distinct.to_pylist()]
    codes = whole.indices.cast(pa.int32())
    if codes.null_count:
        codes = codes.fill_null(pa.scalar(len(texts), pa.int32()))
    return [*texts, ""], codes.to_numpy()


def _numbers(cells: pa.ChunkedArray, column: Number) -> tuple[NDArray[np.float64], Wrong]:
    # nulls become NaN
    values: NDArray[np.float64] = cells.cast(pa.float64()).to_numpy()
    right = (values >= column.low) & (values <= column.high)
    if column.integer and pa.types.is_floating(cells.type):
        right &= np.floor(values) == values
    if right.all():
        return values, []
    rows = np.flatnonzero(~right).tolist()
    texts = ["" if cell is None else str(cell) for cell in cells.take(pa.array(rows)).to_pylist()]
    return values, [(row, reason_of(column, text)) for row, text in zip(rows, texts, strict=True)]


def _ids(table: pa.Table) -> pa.Array:
    if ID not in table.column_names:
        return pa.nulls(len(table), pa.string())
    cells = table[ID].combine_chunks()
    cells = cells.chunk(0) if isinstance(cells, pa.ChunkedArray) else cells
    return cells.cast(pa.string())
