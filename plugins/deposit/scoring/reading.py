"""The rows of the files to score, block by block, from any row on: Parquet by columns, all else as CSV."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from deposit.data.blocks import BLOCK_ROWS, ID, Block, check_table, read_blocks
from deposit.data.columns import CATEGORIES, NAMES
from deposit.data.tables.cells import plain, with_near
from deposit.data.tables.formats import Format, format_of
from deposit.data.tables.header import read_header
from deposit.data.tables.plaintext import plain_csv
from deposit.data.tables.records import scan_records
from deposit.errors import ContractError, SourceError, located
from deposit.scoring.inputs import InputFile, local_copy
from deposit.store import ObjectStore

_BUFFER = 2**20
_WHOLE = 2**53
"""Up to this, a float is every whole number exactly."""
_KNOWN = {plain(name): name for name in (*NAMES, ID)}
_GROUPED_ROWS = 500_000
"""Of Parquet's row groups that are read at once; a larger group is read alone."""


@dataclass(frozen=True, eq=False)
class InputBlock:
    """Some rows of a file; it may travel to where they are scored.

    Args:
        source: number of the file.
        end: rows of the file up to the last of these.
        rows: how many these are, the bad ones among them.
        content: the checked rows, whose records are counted from the first row of these; or, of Parquet, the rows as
            they were read, by the names of the columns, to be checked.
        lines: of the bad ones among checked rows: in a CSV the line, in Parquet the number of the row, from 1.
        has_ids: whether the file has a column `id`.
        share: of the file's bytes that have been read.
    """

    source: int
    end: int
    rows: int
    content: Block | pa.Table
    lines: list[int]
    has_ids: bool
    share: float

    def checked(self) -> tuple[Block, list[int]]:
        """The checked rows, and of the bad ones the lines."""
        if isinstance(self.content, Block):
            return self.content, self.lines
        block = check_table(self.content, np.arange(self.rows))
        return block, [self.end - self.rows + bad.record + 1 for bad in block.rejected]


def read_inputs(
    inputs: Sequence[InputFile], first: int, skip: int, store: ObjectStore, folder: Path, codec: str | None = None
) -> Iterator[InputBlock]:
    """All rows from row `skip` (from 0) of file number `first` on; `codec` is that of files that are text.

    Files of the store come to `folder` one at a time. Raises SourceError or ContractError, naming the file.
    """
    for number in range(first, len(inputs)):
        source = inputs[number]
        partition = {_KNOWN[plain(name)]: value for name, value in source.partition.items() if plain(name) in _KNOWN}
        with located(source.uri), local_copy(source, folder, store) as path, _opened(path) as file:
            if format_of(file) is Format.PARQUET:
                yield from _parquet(file, number, partition, skip)
            else:
                with plain_csv(file, lambda: tempfile.TemporaryFile(dir=folder), codec=codec) as text:
                    yield from _csv(text, number, partition, skip)
        skip = 0


def _opened(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except OSError as error:
        raise SourceError(f"it cannot be read ({error.strerror}): give this user the right to read it") from error


def _csv(file: IO[bytes], number: int, partition: Mapping[str, str], skip: int) -> Iterator[InputBlock]:
    header = read_header(file, (*NAMES, ID))
    _check_columns([name for name in header.columns if name], partition, header.unknown)
    constants = {name: value for name, value in partition.items() if name not in header.places}
    has_ids = ID in header.places or ID in constants
    size, row = file.seek(0, 2), 0
    for records in scan_records(file, header):
        if not len(records) or row + len(records) <= skip:
            row += len(records)
            continue
        share = int(records.ends[-1]) / size
        blocks = read_blocks(file, records, header, constants=constants)
        for start, block in zip(range(0, len(records), BLOCK_ROWS), blocks, strict=True):
            rows = min(BLOCK_ROWS, len(records) - start)
            row += rows
            if row > skip:
                lines = [int(records.lines[bad.record]) for bad in block.rejected]
                yield InputBlock(number, row, rows, _counted_from(block, start), lines, has_ids, share)


def _counted_from(block: Block, first: int) -> Block:
    return replace(block, records=block.records - first) if first else block


def _parquet(file: IO[bytes], number: int, partition: Mapping[str, str], skip: int) -> Iterator[InputBlock]:
    try:
        source = parquet.ParquetFile(file)
        columns = _columns_of(source.schema_arrow, partition)
        as_codes = [name for column, name in columns.items() if column in CATEGORIES]
        source = parquet.ParquetFile(file, read_dictionary=as_codes, buffer_size=_BUFFER)
        total = source.metadata.num_rows
        for row, groups in _from_row(source.metadata, skip):
            # a reader keeps something of each group that it has read
            for batch in source.iter_batches(BLOCK_ROWS, groups, list(columns.values()), use_threads=False):
                fresh = batch.slice(max(0, skip - row))
                row += len(batch)
                if len(fresh):
                    table = _named(fresh, columns, partition)
                    yield InputBlock(number, row, len(fresh), table, [], ID in table.column_names, row / total)
    except (pa.ArrowException, OSError) as error:  # Arrow has OSError for pages that cannot be unpacked
        raise SourceError("this is not a whole .parquet file that can be read: export it again") from error


def _columns_of(schema: pa.Schema, partition: Mapping[str, str]) -> dict[str, str]:
    """The file's names of the columns that are used. Raises ContractError or SourceError."""
    pairs = [(_KNOWN[plain(name)], name) for name in schema.names if plain(name) in _KNOWN]
    _check_columns(
        [column for column, _ in pairs], partition, [name for name in schema.names if plain(name) not in _KNOWN]
    )
    for column, name in pairs:
        if pa.types.is_nested(schema.field(name).type):
            raise SourceError(f"column {column} holds lists or structures: export one value a cell")
    return dict(pairs)


def _check_columns(columns: Sequence[str], partition: Mapping[str, str], unknown: Sequence[str]) -> None:
    missing = [name for name in NAMES if name not in columns and name not in partition]
    if len(missing) == len(NAMES):
        raise ContractError("no column is one of the dataset's: name files of customers alone, with a header")
    if missing:
        raise ContractError(
            f"missing column {', '.join(with_near(missing, unknown))}: add what is missing, named as in data/README.md"
        )
    repeated = sorted({name for name in columns if list(columns).count(name) > 1})
    if repeated:
        raise ContractError(f"column {', '.join(repeated)} is there more than once: keep one")


def _from_row(metadata: Any, skip: int) -> Iterator[tuple[int, list[int]]]:
    """The row groups that hold rows from `skip` on, some at a time, each time with their first row."""
    first = row = 0
    groups: list[int] = []
    for group in range(metadata.num_row_groups):
        row += metadata.row_group(group).num_rows
        if row <= skip:
            first = row
            continue
        groups.append(group)
        if row - first >= _GROUPED_ROWS:
            yield first, groups
            first, groups = row, []
    if groups:
        yield first, groups


def _named(batch: pa.RecordBatch, columns: Mapping[str, str], partition: Mapping[str, str]) -> pa.Table:
    """The columns under their own names, with what the folders say of those that the file lacks."""
    table = pa.table(
        {column: _exact(batch.column(name)) if column == ID else batch.column(name) for column, name in columns.items()}
    )
    for name in (name for name in (*NAMES, ID) if name in partition and name not in columns):
        table = table.append_column(name, pa.repeat(partition[name], len(batch)))
    return table


def _exact(ids: pa.Array) -> pa.Array:
    """Ids of types whose text is not at once what they are. Raises SourceError for those that have no exact text."""
    if isinstance(ids, pa.ExtensionArray):
        if ids.type == pa.uuid():
            return pa.array([None if each is None else str(each) for each in ids.to_pylist()], pa.string())
        return _exact(ids.storage)
    try:
        if pa.types.is_floating(ids.type):
            return _whole(ids.cast(pa.float64()))
        is_binary = pa.types.is_binary(ids.type) or pa.types.is_large_binary(ids.type)
        return ids.cast(pa.string()) if is_binary or pa.types.is_fixed_size_binary(ids.type) else ids
    except pa.ArrowInvalid as error:
        raise SourceError(f"column {ID} holds {ids.type}, which is no text in UTF-8: export it as text") from error


def _whole(numbers: pa.Array) -> pa.Array:
    """Floats as the whole numbers that they are: pandas makes floats of them where one is missing."""
    values = numbers.drop_null().to_numpy()
    if not ((np.abs(values) <= _WHOLE) & (np.floor(values) == values)).all():
        raise SourceError(f"column {ID} holds numbers with fractions, or too large for them: export it as text")
    return numbers.cast(pa.int64())
