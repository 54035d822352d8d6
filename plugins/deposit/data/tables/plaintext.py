"""Any file that holds a table, as a CSV in UTF-8."""

from typing import IO

from deposit.data.tables.charsets import utf8
from deposit.data.tables.formats import Format
from deposit.data.tables.parquet import csv_of_parquet
from deposit.data.tables.unpacking import NewFile, format_of, owned, unpacked


def plain_csv(file: IO[bytes], new: NewFile, limit: int | None = None, codec: str | None = None) -> IO[bytes]:
    """The CSV in a file that may be packed, Parquet, or text in another charset: `file` itself, or one of `new`.

    What is not given back is closed. Raises SourceError or TooLargeError (above `limit` bytes).
    """
    file = unpacked(file, new, limit)
    with owned(file):
        if format_of(file) is Format.PARQUET:
            return csv_of_parquet(file, new, limit)
        return utf8(file, new, codec)
