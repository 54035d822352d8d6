"""The header of a table: its separator, and the position of each known column."""

import csv
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO

from deposit.data.tables.cells import plain
from deposit.errors import ContractError, SourceError

SEPARATORS = {";": "semicolon", ",": "comma", "\t": "tab", "|": "bar"}
"""Supported separators with their names, which HTTP headers use: a header cannot contain just a tab."""
_OTHERS = {":": "`:`", " ": "spaces"}
_MOST_BYTES = 2**20
_MOST_TITLES = 20
"""Non-blank lines that may precede the header."""
_LINE = re.compile(rb"([^\r\n]*)(\r\n|\n|\r|\Z)")
_STATED = re.compile(r'"?sep=(.)"?[;,\t]*', re.IGNORECASE)
_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Header:
    """Layout of a table.

    Args:
        separator: character between cells.
        names: names of all columns, as written in the file.
        columns: known column of each name, or None.
        line: line number of the header, from 1.
        end: byte offset at which the rows begin.
    """

    separator: str
    names: tuple[str, ...]
    columns: tuple[str | None, ...]
    line: int
    end: int

    @property
    def places(self) -> dict[str, int]:
        """Position of each known column; the first one, if the column occurs twice."""
        return {name: place for place, name in reversed(list(enumerate(self.columns))) if name}

    @property
    def repeated(self) -> list[str]:
        """Known columns that occur more than once."""
        return [name for name, count in Counter(self.columns).items() if name and count > 1]

    @property
    def unknown(self) -> list[str]:
        """Names of unknown columns, as written in the file."""
        return [name for name, column in zip(self.names, self.columns, strict=True) if column is None]

    @property
    def decimal_comma(self) -> bool:
        """Whether `4,5` can be a number, because the comma does not separate cells."""
        return self.separator != ","


def read_header(file: IO[bytes], known: Sequence[str], aliases: Mapping[str, str] | None = None) -> Header:
    """Find and parse the header of a UTF-8 file; a line `sep=;` above it, as Excel writes it, sets the separator.

    The header is the first non-blank line. If that names less than half of the known columns, it is the next line that
    does, if there is one: groups of columns above the header may be named like columns. `aliases` maps other names to
    known columns. Raises SourceError (empty file, open quote) or ContractError (unsupported separator, header in
    quotes).
    """
    columns = {plain(name): name for name in known} | {plain(one): name for one, name in (aliases or {}).items()}
    line, end, text = _next_line(file, _begin(file), 1)
    stated = _STATED.fullmatch(text)
    if stated:
        line, end, text = _next_line(file, end, line + 1)
    enough = max(_LEAST_KNOWN, len(known) // 2)
    if max(_counts(text, stated[1] if stated else "", columns).values()) < enough:
        line, end, text = _below_titles(file, line, end, text, columns, enough)
    separator = _separator(text, columns, stated[1] if stated else "")
    names = _cells(text, separator, line)
    if len(names) == 1 and max(_counts(names[0], "", columns).values()) >= _LEAST_KNOWN:
        raise ContractError(f"line {line} is one quoted cell that holds all columns: save the file without the quotes")
    _fit_width(names, file, end, separator)
    return Header(separator, tuple(names), tuple(columns.get(plain(name)) for name in names), line, end)


def _begin(file: IO[bytes]) -> int:
    file.seek(0)
    return len(_MARK) if file.read(len(_MARK)) == _MARK else 0


def _next_line(file: IO[bytes], start: int, line: int) -> tuple[int, int, str]:
    """Find the first non-blank line from offset `start` on: its number, the offset after it, and its text."""
    file.seek(start)
    content, end = file.read(_MOST_BYTES), 0
    for match in _LINE.finditer(content):
        end = match.end()
        if match[1].strip():
            break
        line += 1
    else:
        raise SourceError("the file is empty")
    if end == _MOST_BYTES:
        raise SourceError(f"line {line} is longer than 1 MiB: the first line must name the columns")
    return line, start + end, match[1].decode()


_LEAST_KNOWN = 2
"""Minimum number of known columns in a header: the text of a title may happen to equal one."""


def _counts(text: str, stated: str, columns: Mapping[str, str]) -> dict[str, int]:
    """Number of known columns that each separator yields; the stated separator comes first, so it wins ties."""
    signs = [*filter(None, [stated]), *SEPARATORS, *_OTHERS]
    return {sign: sum(plain(name) in columns for name in _split(text, sign)) for sign in signs}


def _below_titles(
    file: IO[bytes], line: int, end: int, text: str, columns: Mapping[str, str], least: int
) -> tuple[int, int, str]:
    """Find the first line below that names at least `least` known columns; return the given line if there is none."""
    file.seek(end)
    below, titles = line, 0
    for match in _LINE.finditer(file.read(_MOST_BYTES)):
        below, titles = below + 1, titles + bool(match[1].strip())
        candidate = match[1].decode(errors="replace")
        if max(_counts(candidate, "", columns).values()) >= least:
            return below, end + match.end(), candidate
        if titles == _MOST_TITLES:
            break
    return line, end, text


def _fit_width(names: list[str], file: IO[bytes], end: int, separator: str) -> None:
    """Add or drop an empty last name, if either the header or the first row ends with one more separator."""
    file.seek(end)
    first = next((match[1] for match in _LINE.finditer(file.read(_MOST_BYTES)) if match[1].strip()), b"")
    try:
        row = next(csv.reader([first.decode(errors="replace")], delimiter=separator, strict=True), [])
    except csv.Error:
        return
    if len(row) == len(names) + 1 and not row[-1].strip():
        names.append("")
    elif len(row) == len(names) - 1 and not names[-1].strip():
        names.pop()


def _separator(text: str, columns: Mapping[str, str], stated: str) -> str:
    """Choose the separator that yields most known columns. Raises ContractError if it is not supported."""
    counts = _counts(text, stated, columns)
    best = max(counts, key=lambda sign: counts[sign])
    if best not in SEPARATORS and counts[best] > 1:
        sign = _OTHERS.get(best, f"`{best}`")
        raise ContractError(f"the columns are separated by {sign}: save the file with `;`, `,`, `|` or tabs")
    return best if best in SEPARATORS else next(iter(SEPARATORS))


def _split(text: str, separator: str) -> list[str]:
    try:
        return next(csv.reader([text], delimiter=separator), [])
    except csv.Error:  # a cell exceeds 128 KiB
        return []


def _cells(text: str, separator: str, line: int) -> list[str]:
    try:
        return next(csv.reader([text], delimiter=separator, strict=True), [])
    except csv.Error as error:
        raise SourceError(
            f"a quote that opens on line {line} never closes, or text follows it: correct that line"
        ) from error
