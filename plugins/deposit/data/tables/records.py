"""Where the rows of a CSV are, so that every line of the file is accounted for.

A quote opens only where a cell begins, as Python's `csv` and Arrow have it; inside, line ends belong to the cell. A
quote that was never meant to open takes whole rows into one cell: what looks like that is refused with the line on
which the quote opens, and nothing is swallowed.
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
"""Bytes of a row that goes over several lines; Python reads no longer cell."""
_LF, _CR, _QUOTE = 10, 13, 34
_LINE_END, _BLANK = re.compile("\r\n|\r|\n"), b'" \t\x0b\x0c\x1a'  # the last one ends files of DOS


@dataclass(frozen=True, eq=False)
class Records:
    """The rows of a file; lines that are blank, or hold nothing but separators, are left out.

    Args:
        starts: first byte of each, shape (n,).
        ends: byte after each, its line end left out.
        lines: line of the file on which each begins, counted from 1.
        cut: whether the last line has no line end.
    """

    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    lines: NDArray[np.int64]
    cut: bool

    def __len__(self) -> int:
        return len(self.starts)

    def span(self, file: IO[bytes], first: int, last: int) -> bytes:
        """The bytes from row `first` to before row `last`, whatever lies between them included."""
        start = int(self.starts[first])
        return read_at(file, start, int(self.ends[last - 1]) - start)

    def contents(self, file: IO[bytes], numbers: NDArray[np.int64]) -> list[bytes]:
        """The bytes of some rows of a file on the disk, in the order given."""
        starts, ends = self.starts[numbers], self.ends[numbers]
        descriptor = file.fileno()
        # a buffered file would read 8 KiB for each of them
        return [
            os.pread(descriptor, size, start)
            for start, size in zip(starts.tolist(), (ends - starts).tolist(), strict=True)
        ]

    def texts(self, file: IO[bytes], first: int, last: int) -> list[str]:
        """The rows from `first` to before `last` as text."""
        if first == last:
            return []
        content, offset = self.span(file, first, last), int(self.starts[first])
        places = zip(
            (self.starts[first:last] - offset).tolist(), (self.ends[first:last] - offset).tolist(), strict=True
        )
        return [content[start:end].decode() for start, end in places]


def read_at(file: IO[bytes], start: int, size: int) -> bytes:
    """Bytes of a file, on the disk or in memory."""
    if isinstance(file, io.BytesIO):
        return bytes(file.getbuffer()[start : start + size])
    return os.pread(file.fileno(), size, start)


def find_records(file: IO[bytes], header: Header) -> Records:
    """All rows under the header of a file in UTF-8. Raises SourceError naming the line of a wrong quote."""
    parts = list(scan_records(file, header))
    starts, ends, lines = (
        np.concatenate([np.empty(0, np.int64), *(getattr(part, name) for part in parts)])
        for name in ("starts", "ends", "lines")
    )
    return Records(starts, ends, lines, bool(parts) and parts[-1].cut)


def scan_records(file: IO[bytes], header: Header) -> Iterator[Records]:
    """The same, the rows of some MiB at a time: for files of any size."""
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
            raise SourceError(f"line {scan.line} is longer than {_MOST_LINE // 2**20} MiB: this is no table")
    scan.finish()


def _whole_lines(content: bytes) -> int:
    """How many bytes are whole lines, of those that more will follow: a CR at the end may be half of CR LF."""
    most = len(content) - 1
    end = max(content.rfind(b"\n", 0, most), content.rfind(b"\r", 0, most)) + 1
    return end + 1 if content[end - 1 : end + 1] == b"\r\n" else end


def _opens(content: bytes, quotes: list[int], separator: int, is_open: bool) -> bool:
    """Whether a quoted cell is open after one line, whose quotes are at these places of `content`."""
    place = 0
    while place < len(quotes):
        at = quotes[place]
        if not is_open:
            is_open = content[at - 1] in (separator, _LF, _CR)
        elif place + 1 < len(quotes) and quotes[place + 1] == at + 1:
            place += 1  # a quote as such, written twice
        else:
            is_open = False
        place += 1
    return is_open


class _Scan:
    """Makes rows of whole lines, some at a time, and joins those over which a quoted cell goes."""

    def __init__(self, file: IO[bytes], header: Header) -> None:
        self.line = header.line + 1
        self._file = file
        self._separator, self._sign = header.separator, ord(header.separator)
        self._width = len(header.names)
        self._edge = np.zeros(256, dtype=bool)
        self._edge[[self._sign, _LF, _CR, _QUOTE]] = True
        self._open: tuple[int, int] | None = None
        """Start and line of the row in which a quoted cell is open."""

    def take(self, content: bytes, position: int) -> Records:
        """The rows that end in some lines, which begin at `position` of the file."""
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
        """Which rows hold anything: of a row that was cleared a spreadsheet writes separators, and quotes perhaps."""
        lengths = rows[1] - rows[0]
        filled: NDArray[np.bool_] = lengths > 0
        for row in np.flatnonzero(filled & (lengths <= 3 * self._width)).tolist():
            filled[row] = bool(
                read_at(self._file, int(rows[0, row]), int(lengths[row])).strip(_BLANK + self._separator.encode())
            )
        return filled

    def finish(self) -> None:
        """No more lines come. Raises SourceError if a quote is open."""
        if self._open:
            raise SourceError(f"a quote that opens on line {self._open[1]} never closes: correct that line")

    def _open_after(self, padded: bytes, array: NDArray[np.uint8], starts: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Of each line, whether a quoted cell is open after it."""
        is_open = self._open is not None
        after = np.full(len(starts), is_open)
        quotes = np.flatnonzero(array == _QUOTE)
        if not len(quotes):
            return after
        firsts = np.searchsorted(quotes, starts)
        counts = np.diff(np.append(firsts, len(quotes)))
        before_fits, after_fits = self._edge[array[quotes[0::2] - 1]], self._edge[array[quotes[1::2] + 1]]
        if not is_open and not (counts % 2).any() and before_fits.all() and after_fits.all():
            return after  # as nearly always: each line opens and closes its quotes where cells begin and end
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
        """Lines whose quotes do not open and close in pairs, each at the edge of a cell."""
        odd_place = (np.arange(len(quotes)) - np.repeat(firsts, counts)) % 2 == 1
        fits = np.where(odd_place, self._edge[array[quotes + 1]], self._edge[array[quotes - 1]])
        irregular: NDArray[np.bool_] = counts % 2 == 1
        irregular[np.repeat(np.arange(len(counts)), counts)[~fits]] = True
        return irregular

    def _check(self, joined: NDArray[np.int64], position: int) -> None:
        """Refuse rows over several lines that are no row with a line end in a cell."""
        for start, end, line in joined.T.tolist():
            if end - start > _MOST_QUOTED or not self._is_row(read_at(self._file, start, end - start).decode()):
                raise _swallowed(line)
        if self._open and position - self._open[0] > _MOST_QUOTED:
            raise _swallowed(self._open[1])

    def _is_row(self, text: str) -> bool:
        """Whether a text over several lines is one row: had each line as many separators as a row, they were rows."""
        lines = len(_LINE_END.findall(text)) + 1
        if text.count(self._separator) >= lines * (self._width - 1):
            return False
        try:
            return len(next(csv.reader([text], delimiter=self._separator, strict=True))) == self._width
        except csv.Error:
            return False


def _lines(array: NDArray[np.uint8], with_cr: bool) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First byte and end of each line after the first byte, which is a line end as the last one is."""
    breaks = np.flatnonzero((array == _LF) | (array == _CR) if with_cr else array == _LF)
    nexts = breaks[1:]
    if not with_cr:
        return breaks[:-1] + 1, nexts
    of_crlf = (array[nexts] == _LF) & (array[nexts - 1] == _CR) & (nexts > 1)
    # the CR of a CR LF ends its line, and the LF belongs to that line's end
    ends, last = nexts[~of_crlf], nexts[~of_crlf].copy()
    last[np.searchsorted(ends, nexts[of_crlf]) - 1] += 1
    return np.concatenate([breaks[:1], last[:-1]]) + 1, ends


def _swallowed(line: int) -> SourceError:
    return SourceError(
        f"a quote that opens on line {line} closes further down, and what lies between are rows of their own: "
        "remove that quote, or close it on its line"
    )
