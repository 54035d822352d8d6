"""Where the records of a CSV begin: by newlines that stand outside quotes."""

import codecs
import os
from dataclasses import dataclass
from typing import IO

import numpy as np
from numpy.typing import NDArray

from serving.problems import refuse

_CHUNK = 4 * 2**20
_NEWLINE, _QUOTE, _RETURN = 10, 34, 13
_UTF8_MARK = codecs.BOM_UTF8
_WORKBOOK = b"PK\x03\x04"


@dataclass(frozen=True, eq=False)
class Records:
    """A file's records, blank lines left out; the header is the first.

    Args:
        starts: first byte of each, shape (n,).
        ends: byte after each, its newline left out.
        lines: line of the file on which each begins, counted from 1.
        encoding: `utf-8` if all of the file is, else `cp1252`.
    """

    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    lines: NDArray[np.int64]
    encoding: str

    def __len__(self) -> int:
        return len(self.starts)

    def contents(self, file: IO[bytes], numbers: NDArray[np.int64]) -> list[bytes]:
        """The bytes of some records, in the order given."""
        descriptor = file.fileno()
        starts, ends = self.starts[numbers], self.ends[numbers]
        # a buffered file would read 8 KiB for each of them
        return [
            os.pread(descriptor, size, start)
            for start, size in zip(starts.tolist(), (ends - starts).tolist(), strict=True)
        ]


def find_records(file: IO[bytes]) -> Records:
    """All records of a file. Raises RequestError 422 for what is no text, or holds a quote that never closes."""
    file.seek(0)
    begin = _begin(file.read(8))
    file.seek(begin)
    decoder = codecs.getincrementaldecoder("utf-8")()
    encoding = "utf-8"
    newlines: list[NDArray[np.int64]] = []
    inside: list[NDArray[np.bool_]] = []
    position, quotes = begin, 0
    last = b""
    while chunk := file.read(_CHUNK):
        if b"\0" in chunk:
            raise refuse(422, "is not a text file; save the list as CSV", "file")
        if encoding == "utf-8" and not _decodes(decoder, chunk):
            encoding = "cp1252"
        content = np.frombuffer(chunk, np.uint8)
        found = np.flatnonzero(content == _NEWLINE)
        quoted = np.flatnonzero(content == _QUOTE)
        inside.append((quotes + np.searchsorted(quoted, found)) % 2 == 1)
        newlines.append(found + position)
        position, quotes, last = position + len(chunk), quotes + len(quoted), chunk[-1:]
    if encoding == "utf-8" and not _decodes(decoder, b"", final=True):
        encoding = "cp1252"
    every = np.concatenate([*newlines, np.empty(0, np.int64)])
    open_at_newline = np.concatenate([*inside, np.empty(0, np.bool_)])
    if last and last != b"\n":
        every, open_at_newline = np.append(every, position), np.append(open_at_newline, quotes % 2 == 1)
    _require_closed(open_at_newline)
    return _records(file, begin, every, open_at_newline, encoding)


def _records(
    file: IO[bytes], begin: int, newlines: NDArray[np.int64], inside: NDArray[np.bool_], encoding: str
) -> Records:
    closing = np.flatnonzero(~inside)
    ends = newlines[closing]
    starts = np.concatenate([[begin], ends[:-1] + 1]).astype(np.int64)[: len(ends)]
    lines = np.concatenate([[1], closing[:-1] + 2]).astype(np.int64)[: len(ends)]
    lengths = ends - starts
    blank = lengths == 0
    for short in np.flatnonzero(lengths == 1):  # of a blank line that ends with CR LF
        file.seek(int(starts[short]))
        blank[short] = file.read(1) == b"\r"
    kept = ~blank
    return Records(starts[kept], ends[kept], lines[kept], encoding)


def _begin(head: bytes) -> int:
    if head.startswith(_WORKBOOK):
        raise refuse(422, "is a workbook (xlsx), not a CSV; in the spreadsheet choose Save as, CSV", "file")
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise refuse(422, "is UTF-16; save it as CSV in UTF-8", "file")
    if not head:
        raise refuse(422, "is empty", "file")
    return len(_UTF8_MARK) if head.startswith(_UTF8_MARK) else 0


def _decodes(decoder: codecs.IncrementalDecoder, chunk: bytes, final: bool = False) -> bool:
    try:
        decoder.decode(chunk, final)
    except UnicodeDecodeError:
        return False
    return True


def _require_closed(inside: NDArray[np.bool_]) -> None:
    if len(inside) and inside[-1]:
        closed = np.flatnonzero(~inside)
        line = int(closed[-1]) + 2 if len(closed) else 1
        raise refuse(422, f"a quote that opens on line {line} never closes; correct that line", "file")
