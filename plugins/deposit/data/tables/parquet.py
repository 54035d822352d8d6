"""A Parquet file as CSV, a group of rows after another."""

import re
from typing import IO, Any

from deposit.data.tables.unpacking import NewFile, owned
from deposit.errors import SourceError, TooLargeError

_ROWS = 50_000
_INDEX = re.compile(r"__index_level_\d+__")
"""Columns in which pandas keeps a frame's index."""


def csv_of_parquet(file: IO[bytes], new: NewFile, limit: int | None = None) -> IO[bytes]:
    """The rows as a CSV with `;`, in one of `new`; `file` is closed. Raises SourceError or TooLargeError."""
    import pyarrow as pa  # 60 MB of memory that a service which never sees a list does without
    from pyarrow import csv
    from pyarrow import parquet as pq

    target = new()
    with owned(target):
        try:
            source = pq.ParquetFile(file)
            names = [name for name in source.schema_arrow.names if not _INDEX.fullmatch(name)]
            schema = pa.schema([(name, _plain(source.schema_arrow.field(name))) for name in names])
            with csv.CSVWriter(target, schema, write_options=csv.WriteOptions(delimiter=";")) as writer:
                for batch in source.iter_batches(_ROWS, columns=names):
                    writer.write_table(pa.Table.from_batches([batch]).select(names).cast(schema))
                    if limit is not None and target.tell() > limit:
                        raise TooLargeError(f"as CSV, the file is larger than {limit} bytes; split it")
        except pa.ArrowException as error:
            raise SourceError("this is not a whole .parquet file that can be read: export it again") from error
    file.close()
    target.flush()
    return target


def _plain(field: Any) -> Any:
    """The type as which a column is written. Raises SourceError for lists, structures and the like."""
    import pyarrow as pa

    kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    if pa.types.is_nested(kind):
        raise SourceError(f"column {field.name[:40]!r} holds lists or structures: export one value a cell")
    return pa.string() if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) else kind
