"""Locate the rows of a CSV, so that every line of the file is accounted for.

A quote opens only at the start of a cell, as in Python's `csv` and in Arrow; inside it, line ends belong to the cell.
A stray quote would therefore swallow whole rows into one cell. Such a file is refused, with the line on which the
quote opens.
"""

import csv
import io
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

import numpy as np
from numpy.typing import NDArray

from deposit.data.tables.header import Header
from deposit.errors import SourceError

_CHUNK, _MOST_LINE = 4 * 2**20, 16 * 2**20
_MOST_QUOTED = 2**17
"""Maximum size in bytes of a row over several lines; Python's `csv` reads no larger cell."""
_LF, _CR, _QUOTE = 10, 13, 34
_LINE_END, _BLANK = re.compile("\r\n|\r|\n"), b'" \t\x0b\x0c\x1a'  # \x1a ends DOS files


@dataclass(frozen=True, eq=False)
class Records:
    """Positions of a file's rows, without lines that are blank or hold only separators.

    Args:
        starts: offset of each row's first byte, shape (n,).
        ends: offset after each row's last byte, which is before the line end, shape (n,).
        lines: line on which each row begins, from 1, shape (n,).
        cut: whether the last line has no line end.
    """

    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    lines: NDArray[np.int64]
    cut: bool

    def __len__(self) -> int:
        return len(self.starts)

    def span(self, file: IO[bytes], first: int, last: int) -> bytes:
        """The bytes from row `first` up to but excluding row `last`, with everything between them."""
        start = int(self.starts[first])
        return read_at(file, start, int(self.ends[last - 1]) - start)

    def contents(self, file: IO[bytes], numbers: NDArray[np.int64]) -> list[bytes]:
        """The bytes of the given rows of a file on disk, in the given order."""
        starts, ends = self.starts[numbers], self.ends[numbers]
        descriptor = file.fileno()
        # a buffered read would fetch 8 KiB for each row
        return [
            os.pread(descriptor, size, start)
            for start, size in zip(starts.tolist(), (ends - starts).tolist(), strict=True)
        ]

    def texts(self, file: IO[bytes], first: int, last: int) -> list[str]:
        """The rows from `first` up to but excluding `last`, as text."""
        if first == last:
            return []
        content, offset = self.span(file, first, last), int(self.starts[first])
        places = zip(
            (self.starts[first:last] - offset).tolist(), (self.ends[first:last] - offset).tolist(), strict=True
        )
        return [content[start:end].decode() for start, end in places]


def read_at(file: IO[bytes], start: int, size: int) -> bytes:
    """Read bytes of a file on disk or in memory."""
    if isinstance(file, io.BytesIO):
        return bytes(file.getbuffer()[start : start + size])
    return os.pread(file.fileno(), size, start)


def find_records(file: IO[bytes], header: Header) -> Records:
    """Locate all rows below the header of a UTF-8 file. Raises SourceError with the line of a wrong quote."""
    parts = list(scan_records(file, header))
    starts, ends, lines = (
        np.concatenate([np.empty(0, np.int64), *(getattr(part, name) for part in parts)])
        for name in ("starts", "ends", "lines")
    )
    return Records(starts, ends, lines, bool(parts) and parts[-1].cut)


def scan_records(file: IO[bytes], header: Header) -> Iterator[Records]:
    """Like `find_records`, but yield the rows of a few MiB at a time, for files of any size."""
    scan = _Scan(file, header)
    position, rest, chunk = header.end, b"", b"?"
    while chunk:
        chunk = read_at(file, position + len(rest), _CHUNK)
        content = rest + chunk
        end = _whole_lines(content) if chunk else len(content)
        if end:
            yield scan.take(content[:end], position)
        rest, position = content[end:], position + end
        if len(rest) > _MOST_LINE:
            raise SourceError(f"line {scan.line} is longer than {_MOST_LINE // 2**20} MiB: this is not a table")
    scan.finish()


def _whole_lines(content: bytes) -> int:
    """Length of the complete lines in a chunk that is not the last; a CR at its end may be half of CR LF."""
    most = len(content) - 1
    end = max(content.rfind(b"\n", 0, most), content.rfind(b"\r", 0, most)) + 1
    return end + 1 if content[end - 1 : end + 1] == b"\r\n" else end


def _opens(content: bytes, quotes: list[int], separator: int, is_open: bool) -> bool:
    """Whether a quoted cell is open after a line; `quotes` are the offsets of the line's quotes in `content`."""
    place = 0
    while place < len(quotes):
        at = quotes[place]
        if not is_open:
            is_open = content[at - 1] in (separator, _LF, _CR)
        elif place + 1 < len(quotes) and quotes[place + 1] == at + 1:
            place += 1  # an escaped quote, written twice
        else:
            is_open = False
        place += 1
    return is_open


class _Scan:
    """Splits complete lines into rows, chunk by chunk, and joins lines that a quoted cell spans."""

    def __init__(self, file: IO[bytes], header: Header) -> None:
        self.line = header.line + 1
        self._file = file
        self._separator, self._sign = header.separator, ord(header.separator)
        self._width = len(header.names)
        self._edge = np.zeros(256, dtype=bool)
        self._edge[[self._sign, _LF, _CR, _QUOTE]] = True
        self._open: tuple[int, int] | None = None
        """Offset and line of the row whose quoted cell is open."""

    def take(self, content: bytes, position: int) -> Records:
        """Return the rows that end in `content`, complete lines that begin at offset `position` of the file."""
        cut = not content.endswith((b"\n", b"\r"))
        padded = b"\n" + content + (b"\n" if cut else b"")  # so that every quote has neighbours
        array = np.frombuffer(padded, np.uint8)
        starts, ends = _lines(array, b"\r" in content)
        numbers = self.line + np.arange(len(ends))
        self.line += len(ends)
        is_open = self._open is not None
        after = self._open_after(padded, array, starts)
        begins, closes = ~np.append(is_open, after[:-1]), ~after
        begun = np.stack([starts[begins] + position - 1, numbers[begins]])
        if self._open is not None:
            begun = np.concatenate([np.array([self._open], dtype=np.int64).T, begun], axis=1)
        self._open = None
        if after[-1]:
            self._open = (int(begun[0, -1]), int(begun[1, -1]))
            begun = begun[:, :-1]
        rows = np.stack([begun[0], ends[closes] + position - 1, begun[1]])
        if is_open or after.any():
            self._check(rows[:, rows[2] != numbers[closes]], position + len(content))
        filled = self._filled(rows)
        starts, ends, lines = rows[:, filled]
        return Records(starts, ends, lines, cut and bool(filled[-1:].all()))

    def _filled(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which rows have any content: a spreadsheet writes a cleared row as separators and perhaps quotes."""
        lengths = rows[1] - rows[0]
        filled: NDArray[np.bool_] = lengths > 0
        for row in np.flatnonzero(filled & (lengths <= 3 * self._width)).tolist():
            filled[row] = bool(
                read_at(self._file, int(rows[0, row]), int(lengths[row])).strip(_BLANK + self._separator.encode())
            )
        return filled

    def finish(self) -> None:
        """End the scan. Raises SourceError if a quote is still open."""
        if self._open:
            raise SourceError(f"a quote that opens on line {self._open[1]} never closes: correct that line")

    def _open_after(self, padded: bytes, array: NDArray[np.uint8], starts: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether a quoted cell is open after each line."""
        is_open = self._open is not None
        after = np.full(len(starts), is_open)
        quotes = np.flatnonzero(array == _QUOTE)
        if not len(quotes):
            return after
        firsts = np.searchsorted(quotes, starts)
        counts = np.diff(np.append(firsts, len(quotes)))
        before_fits, after_fits = self._edge[array[quotes[0::2] - 1]], self._edge[array[quotes[1::2] + 1]]
        if not is_open and not (counts % 2).any() and before_fits.all() and after_fits.all():
            return after  # the usual case: each line opens and closes its quotes at the edges of cells
        after[:] = False
        odd = np.flatnonzero(self._irregular(array, quotes, firsts, counts)).tolist()
        waiting, line = iter(odd), 0 if is_open else odd[0] if odd else len(starts)
        while line < len(starts):
            own = quotes[firsts[line] : firsts[line] + counts[line]].tolist()
            is_open = _opens(padded, own, self._sign, is_open)
            after[line] = is_open
            line = line + 1 if is_open else next((other for other in waiting if other > line), len(starts))
        return after

    def _irregular(
        self, array: NDArray[np.uint8], quotes: NDArray[np.int64], firsts: NDArray[np.int64], counts: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """Which lines have quotes that do not come in pairs at the edges of cells."""
        odd_place = (np.arange(len(quotes)) - np.repeat(firsts, counts)) % 2 == 1
        fits = np.where(odd_place, self._edge[array[quotes + 1]], self._edge[array[quotes - 1]])
        irregular: NDArray[np.bool_] = counts % 2 == 1
        irregular[np.repeat(np.arange(len(counts)), counts)[~fits]] = True
        return irregular

    def _check(self, joined: NDArray[np.int64], position: int) -> None:
        """Refuse rows over several lines unless each is one row with a line end in a cell."""
        for start, end, line in joined.T.tolist():
            if end - start > _MOST_QUOTED or not self._is_row(read_at(self._file, start, end - start).decode()):
                raise _swallowed(line)
        if self._open and position - self._open[0] > _MOST_QUOTED:
            raise _swallowed(self._open[1])

    def _is_row(self, text: str) -> bool:
        """Whether text over several lines is one row; it is several, if each line has as many separators as a row."""
        lines = len(_LINE_END.findall(text)) + 1
        if text.count(self._separator) >= lines * (self._width - 1):
            return False
        try:
            return len(next(csv.reader([text], delimiter=self._separator, strict=True))) == self._width
        except csv.Error:
            return False


def _lines(array: NDArray[np.uint8], with_cr: bool) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Start and end of each line after the first byte; the first byte is a line end, and so is the last."""
    breaks = np.flatnonzero((array == _LF) | (array == _CR) if with_cr else array == _LF)
    nexts = breaks[1:]
    if not with_cr:
        return breaks[:-1] + 1, nexts
    of_crlf = (array[nexts] == _LF) & (array[nexts - 1] == _CR) & (nexts > 1)
    # the CR of a CR LF is the end of the line, and the next line starts after the LF
    ends, last = nexts[~of_crlf], nexts[~of_crlf].copy()
    last[np.searchsorted(ends, nexts[of_crlf]) - 1] += 1
    return np.concatenate([breaks[:1], last[:-1]]) + 1, ends


def _swallowed(line: int) -> SourceError:
    return SourceError(
        f"a quote that opens on line {line} closes further down, and the lines between are rows of their own: "
        "remove that quote, or close it on its line"
    )
