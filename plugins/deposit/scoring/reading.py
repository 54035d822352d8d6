"""Read the files to score block by block, from any row on: Parquet by column, everything else as CSV."""

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
from deposit.data.tables.dialect import Dialect, dialect_of
from deposit.data.tables.formats import Format, format_of
from deposit.data.tables.header import read_header
from deposit.data.tables.plaintext import PlainText, plain_csv
from deposit.data.tables.records import scan_records
from deposit.errors import ContractError, SourceError, located
from deposit.scoring.inputs import InputFile, local_copy
from deposit.store import ObjectStore

_BUFFER = 2**20
_WHOLE = 2**53
"""Up to this number, a float represents every integer exactly."""
_KNOWN = {plain(name): name for name in (*NAMES, ID)}
_GROUPED_ROWS = 500_000
"""Parquet row groups are read together until they have this many rows; a larger group is read alone."""


@dataclass(frozen=True, eq=False)
class InputBlock:
    """Rows of a file, which can be sent to the worker that scores them.

    Args:
        source: index of the file.
        end: number of rows of the file up to and including the last row of this block.
        rows: number of rows in this block, valid or not.
        content: checked rows, with records numbered from the start of this block, or, from Parquet, unchecked rows
            under the names of the features.
        lines: lines of the rejected rows, if the rows are checked.
        has_ids: whether the file has a column `id`.
        share: share of the file that has been read.
        dialect: dialect of the file, in the block with its first rows; otherwise, and for Parquet, None.
    """

    source: int
    end: int
    rows: int
    content: Block | pa.Table
    lines: list[int]
    has_ids: bool
    share: float
    dialect: Dialect | None = None

    def checked(self) -> tuple[Block, list[int]]:
        """Return the checked rows, and for each rejected row its line (CSV) or its row number from 1 (Parquet)."""
        if isinstance(self.content, Block):
            return self.content, self.lines
        block = check_table(self.content, np.arange(self.rows))
        return block, [self.end - self.rows + bad.record + 1 for bad in block.rejected]


def read_inputs(
    inputs: Sequence[InputFile], first: int, skip: int, store: ObjectStore, folder: Path, codec: str | None = None
) -> Iterator[InputBlock]:
    """Yield all rows from row `skip` (from 0) of file number `first` on; `codec` is the encoding of text files.

    Files of the store are downloaded to `folder` one at a time. Raises SourceError or ContractError, naming the file.
    """
    for number in range(first, len(inputs)):
        source = inputs[number]
        partition = {_KNOWN[plain(name)]: value for name, value in source.partition.items() if plain(name) in _KNOWN}
        with located(source.uri), local_copy(source, folder, store) as path, _opened(path) as file:
            if format_of(file) is Format.PARQUET:
                yield from _parquet(file, number, partition, skip)
            else:
                text = plain_csv(file, lambda: tempfile.TemporaryFile(dir=folder), codec=codec)  # noqa: SIM115
                with text.file:
                    yield from _csv(text, number, partition, skip)
        skip = 0


def _opened(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except OSError as error:
        raise SourceError(f"it cannot be read ({error.strerror}): give this user read permission") from error


def _csv(text: PlainText, number: int, partition: Mapping[str, str], skip: int) -> Iterator[InputBlock]:
    file, header = text.file, read_header(text.file, (*NAMES, ID))
    _check_columns([name for name in header.columns if name], partition, header.unknown)
    constants = {name: value for name, value in partition.items() if name not in header.places}
    has_ids = ID in header.places or ID in constants
    size, row, dialect = file.seek(0, 2), 0, dialect_of(header, text.codec)
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
                first = dialect if row == rows else None
                yield InputBlock(number, row, rows, _renumber(block, start), lines, has_ids, share, first)


def _renumber(block: Block, first: int) -> Block:
    return replace(block, records=block.records - first) if first else block


def _parquet(file: IO[bytes], number: int, partition: Mapping[str, str], skip: int) -> Iterator[InputBlock]:
    try:
        source = parquet.ParquetFile(file)
        columns = _columns_of(source.schema_arrow, partition)
        as_codes = [name for column, name in columns.items() if column in CATEGORIES]
        source = parquet.ParquetFile(file, read_dictionary=as_codes, buffer_size=_BUFFER)
        total = source.metadata.num_rows
        for row, groups in _row_groups_from(source.metadata, skip):
            # one reader per batch of groups, because it holds some memory for each group that it has read
            for batch in source.iter_batches(BLOCK_ROWS, groups, list(columns.values()), use_threads=False):
                fresh = batch.slice(max(0, skip - row))
                row += len(batch)
                if len(fresh):
                    table = _rename_columns(fresh, columns, partition)
                    yield InputBlock(number, row, len(fresh), table, [], ID in table.column_names, row / total)
    except (pa.ArrowException, OSError) as error:  # Arrow raises OSError for pages that it cannot decompress
        raise SourceError("this is not a complete, readable .parquet file: export it again") from error


def _columns_of(schema: pa.Schema, partition: Mapping[str, str]) -> dict[str, str]:
    """Map each used column to its name in the file. Raises ContractError or SourceError."""
    pairs = [(_KNOWN[plain(name)], name) for name in schema.names if plain(name) in _KNOWN]
    _check_columns(
        [column for column, _ in pairs], partition, [name for name in schema.names if plain(name) not in _KNOWN]
    )
    for column, name in pairs:
        if pa.types.is_nested(schema.field(name).type):
            raise SourceError(f"column {column} holds lists or structures: export one value per cell")
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
        raise ContractError(f"column {', '.join(repeated)} occurs more than once: keep one")


def _row_groups_from(metadata: Any, skip: int) -> Iterator[tuple[int, list[int]]]:
    """Yield batches of the row groups that hold rows from `skip` on, each with the index of its first row."""
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


def _rename_columns(batch: pa.RecordBatch, columns: Mapping[str, str], partition: Mapping[str, str]) -> pa.Table:
    """Rename the used columns to the features, and add the partition values of columns that the file lacks."""
    table = pa.table(
        {
            column: _exact_ids(batch.column(name)) if column == ID else batch.column(name)
            for column, name in columns.items()
        }
    )
    for name in (name for name in (*NAMES, ID) if name in partition and name not in columns):
        table = table.append_column(name, pa.repeat(partition[name], len(batch)))
    return table


def _exact_ids(ids: pa.Array) -> pa.Array:
    """Convert ids whose plain text would not be exact. Raises SourceError if there is no exact text."""
    if isinstance(ids, pa.ExtensionArray):
        if ids.type == pa.uuid():
            return pa.array([None if each is None else str(each) for each in ids.to_pylist()], pa.string())
        return _exact_ids(ids.storage)
    try:
        if pa.types.is_floating(ids.type):
            return _to_integers(ids.cast(pa.float64()))
        is_binary = pa.types.is_binary(ids.type) or pa.types.is_large_binary(ids.type)
        return ids.cast(pa.string()) if is_binary or pa.types.is_fixed_size_binary(ids.type) else ids
    except pa.ArrowInvalid as error:
        raise SourceError(f"column {ID} holds {ids.type}, which is no text in UTF-8: export it as text") from error


def _to_integers(numbers: pa.Array) -> pa.Array:
    """Convert floats back to integers; pandas turns integers into floats if one is missing."""
    values = numbers.drop_null().to_numpy()
    if not ((np.abs(values) <= _WHOLE) & (np.floor(values) == values)).all():
        raise SourceError(f"column {ID} holds numbers with fractions, or too large for them: export it as text")
    return numbers.cast(pa.int64())
