"""The dialect with which a file was read: charset, separator and header line, whether stated or detected."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from deposit.data.tables.header import SEPARATORS, Header

_WINDOWS, _ISO = re.compile(r"cp(?=125\d$)"), re.compile("iso(?=8859)")


@dataclass(frozen=True)
class Dialect:
    """The dialect of one file.

    Args:
        charset: IANA name of the charset; None for a workbook and Parquet.
        separator: name of the separator; None for a workbook and Parquet.
        header_line: line number of the column names, from 1.
    """

    charset: str | None
    separator: str | None
    header_line: int

    def __str__(self) -> str:
        text = f"as {self.charset}, with a {self.separator} between cells, " if self.charset else ""
        return f"read {text}with the column names in line {self.header_line}"


@dataclass(frozen=True)
class FilesOfDialect(Dialect):
    """A dialect and the number of files that have it."""

    files: int


def dialect_of(header: Header, codec: str | None) -> Dialect:
    """Return the dialect of a file; `codec` is None if the CSV was converted from a workbook or Parquet."""
    if codec is None:
        return Dialect(None, None, header.line)
    charset = _ISO.sub("iso-", _WINDOWS.sub("windows-", codec))
    return Dialect(charset, SEPARATORS[header.separator], header.line)


def counted(dialects: Iterable[Dialect]) -> tuple[FilesOfDialect, ...]:
    """Count the files of each dialect, most frequent first; a FilesOfDialect counts as its number of files."""
    files: Counter[tuple[str | None, str | None, int]] = Counter()
    for each in dialects:
        more = each.files if isinstance(each, FilesOfDialect) else 1
        files[each.charset, each.separator, each.header_line] += more
    return tuple(FilesOfDialect(*dialect, number) for dialect, number in files.most_common())
