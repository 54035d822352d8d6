"""The rows of the files to score, block by block, from any row on: Parquet by columns, all else as CSV."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from deposit.data.blocks import BLOCK_ROWS, ID, Block, check_table, read_blocks
from deposit.data.columns import CATEGORIES, NAMES
from deposit.data.tables.formats import Format, format_of
from deposit.data.tables.header import plain, read_header
from deposit.data.tables.plaintext import plain_csv
from deposit.data.tables.records import scan_records
from deposit.errors import ContractError, SourceError, located
from deposit.scoring.inputs import InputFile, local_copy
from deposit.store import ObjectStore

_BUFFER = 2**20
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
    inputs: Sequence[InputFile], first: int, skip: int, store: ObjectStore, folder: Path
) -> Iterator[InputBlock]:
    """All rows from row `skip` (from 0) of file number `first` on.

    Files of the store come to `folder` one at a time. Raises SourceError or ContractError, naming the file.
    """
    for number in range(first, len(inputs)):
        source = inputs[number]
        with located(source.uri), local_copy(source, folder, store) as path, path.open("rb") as file:
            if format_of(file) is Format.PARQUET:
                yield from _parquet(file, number, source.partition, skip)
            else:
                with plain_csv(file, lambda: tempfile.TemporaryFile(dir=folder)) as text:
                    yield from _csv(text, number, source.partition, skip)
        skip = 0


def _csv(file: IO[bytes], number: int, partition: Mapping[str, str], skip: int) -> Iterator[InputBlock]:
    header = read_header(file, (*NAMES, ID))
    _check_columns([name for name in header.columns if name], partition)
    if missing := [name for name in NAMES if name not in header.places]:
        raise ContractError(f"{', '.join(missing)} is in the folder's name alone: of a CSV, write it into the file")
    size, row = file.seek(0, 2), 0
    for records in scan_records(file, header):
        if not len(records) or row + len(records) <= skip:
            row += len(records)
            continue
        share = int(records.ends[-1]) / size
        for start, block in zip(range(0, len(records), BLOCK_ROWS), read_blocks(file, records, header), strict=True):
            rows = min(BLOCK_ROWS, len(records) - start)
            row += rows
            if row > skip:
                lines = [int(records.lines[bad.record]) for bad in block.rejected]
                yield InputBlock(number, row, rows, _counted_from(block, start), lines, ID in header.places, share)


def _counted_from(block: Block, first: int) -> Block:
    return Block(block.records - first, block.columns, block.ids, block.rejected) if first else block


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
    except pa.ArrowException as error:
        raise SourceError("this is not a whole .parquet file that can be read: export it again") from error


def _columns_of(schema: pa.Schema, partition: Mapping[str, str]) -> dict[str, str]:
    """The file's names of the columns that are used. Raises ContractError or SourceError."""
    known = {plain(name): name for name in (*NAMES, ID)}
    pairs = [(known[plain(name)], name) for name in schema.names if plain(name) in known]
    _check_columns([column for column, _ in pairs], partition)
    for column, name in pairs:
        if pa.types.is_nested(schema.field(name).type):
            raise SourceError(f"column {column} holds lists or structures: export one value a cell")
    return dict(pairs)


def _check_columns(columns: Sequence[str], partition: Mapping[str, str]) -> None:
    missing = [name for name in NAMES if name not in columns and name not in partition]
    if missing:
        raise ContractError(f"missing column {', '.join(missing)}: add what is missing, named as in data/README.md")
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
    table = pa.table({column: batch.column(name) for column, name in columns.items()})
    for name in (name for name in (*NAMES, ID) if name in partition and name not in columns):
        table = table.append_column(name, pa.repeat(partition[name], len(batch)))
    return table
