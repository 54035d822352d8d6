"""Convert files to text in UTF-8: by a stated charset or a byte-order mark, never by a guess.

A wrong guess would silently corrupt names and ids, so bytes that are not UTF-8 are refused with their position.
"""

import codecs
import encodings
import pkgutil
import re
from encodings import normalize_encoding
from encodings.aliases import aliases
from typing import IO, Any, NamedTuple

from deposit.data.tables.formats import Format, format_of
from deposit.data.tables.unpacking import NewFile, owned, unpacked
from deposit.data.tables.workbook import csv_of_workbook
from deposit.errors import ConfigError, SourceError, TooLargeError

CHUNK = 4 * 2**20
UTF8 = "utf-8"
_MARKS = (  # UTF-32 first: its little-endian mark begins with that of UTF-16
    (codecs.BOM_UTF8, UTF8),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_MOST_MARK = 4
_OTHERS = frozenset({"utf-7", "idna", "punycode", "unicode-escape", "raw-unicode-escape", "undefined", "mbcs", "oem"})
"""Python codecs in which nobody sends a table."""
_NAMES = frozenset(aliases) | {module.name for module in pkgutil.iter_modules(encodings.__path__)}
_MARK = "\ufeff"


def codec_of(label: str) -> str | None:
    """Return Python's codec for a charset name, or None if the name is unknown."""
    if normalize_encoding(label).lower() not in _NAMES:
        return None  # `codecs.lookup` would cache each unknown name forever
    try:
        codec = codecs.lookup(label)
        codecs.getincrementaldecoder(codec.name)
        known = isinstance(b"?".decode(codec.name, "replace"), str) and codec.name not in _OTHERS
    except (LookupError, ValueError):
        return None
    return codec.name if known else None


def stated_codec(label: str | None) -> str | None:
    """Return the codec of a configured charset, or None if none is set. Raises ConfigError if it is unknown."""
    codec = codec_of(label) if label else None
    if label and codec is None:
        raise ConfigError(f"the charset {label[:40]!r} is unknown: state one such as windows-1252, or none for UTF-8")
    return codec


class PlainText(NamedTuple):
    """A file in UTF-8, and the codec that it was decoded with: None if it was converted from a workbook or Parquet."""

    file: IO[bytes]
    codec: str | None


def utf8(file: IO[bytes], new: NewFile, codec: str | None = None) -> PlainText:
    """Return the file in UTF-8: `file` itself, or else a converted copy in a file from `new()`, with `file` closed.

    A byte-order mark overrides `codec`, a result of `codec_of`. Raises SourceError with the line of an invalid byte.
    """
    file.seek(0)
    head = file.read(_MOST_MARK)
    used = next((name for mark, name in _MARKS if head.startswith(mark)), codec or UTF8)
    if used == UTF8:
        _check(file)
        return PlainText(file, used)
    target = new()
    with owned(target):
        _transcode(file, target, used)
    file.close()
    return PlainText(target, used)


_PAIRS, _LATIN_SHARE = 64, 0.5
"""Characters that are checked to detect UTF-16 without a byte-order mark, and the share that must be Latin-1."""


def _detect_utf16(start: bytes) -> str | None:
    """Detect UTF-16 without a byte-order mark: most characters at the start of the file have a NUL as high byte."""
    first, second = start[: 2 * _PAIRS : 2], start[1 : 2 * _PAIRS : 2]
    forms = {"utf-16-le": (second, first), "utf-16-be": (first, second)}
    return next(
        (
            name
            for name, (high, low) in forms.items()
            if len(high) > 1 and high.count(0) > _LATIN_SHARE * len(high) and not low.count(0)
        ),
        None,
    )


def _check(file: IO[bytes]) -> None:
    decoder = codecs.getincrementaldecoder(UTF8)()
    file.seek(0)
    position, chunk = 0, b"?"
    while chunk:
        chunk = file.read(CHUNK)
        pending = len(decoder.getstate()[0])
        nul = chunk.find(b"\0")
        if not position and (codec := _detect_utf16(chunk)):
            raise SourceError(
                f"this looks like {codec} without its byte-order mark: state that charset, or save as UTF-8"
            )
        if nul >= 0:
            raise SourceError(f"line {place(file, position + nul)[0]} holds a NUL: this is not a text file in UTF-8")
        try:
            decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            line, byte = place(file, position - pending + error.start)
            raise SourceError(
                f"line {line}, byte {byte} (0x{error.object[error.start]:02x}) is not UTF-8: save the file as UTF-8, "
                "or state the charset that it is in"
            ) from error
        position += len(chunk)


def _transcode(file: IO[bytes], target: IO[bytes], codec: str) -> None:
    decoder = codecs.getincrementaldecoder(codec)()
    file.seek(0)
    lines, first, chunk = 1, True, b"x"
    while chunk:
        chunk = file.read(CHUNK)
        try:
            text = decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            lines += error.object[: error.start].decode(codec, "replace").count("\n")
            raise SourceError(
                f"line {lines} has bytes that are not {codec}: state the right charset, or save the file as UTF-8"
            ) from error
        except UnicodeError as error:
            raise SourceError(
                f"the file has no byte-order mark, which {codec} requires: state {codec}-le or {codec}-be, or the "
                "charset that the file is in"
            ) from error
        if "\0" in text:
            raise SourceError(f"line {lines + text[: text.index(chr(0))].count(chr(10))} holds a NUL: not a text file")
        target.write((text.removeprefix(_MARK) if first else text).encode())
        lines += text.count("\n")
        first = first and not text
    target.flush()


def place(file: IO[bytes], position: int) -> tuple[int, int]:
    """Convert a byte offset to a line and a byte in it, both from 1; lines end with LF, CR LF or CR."""
    file.seek(0)
    line, last, done = 1, 0, 0
    while done < position:
        chunk = file.read(min(CHUNK, position - done))
        while chunk.endswith(b"\r") and (more := file.read(1)):
            chunk += more  # do not split CR LF
        line += chunk.count(b"\n") + chunk.count(b"\r") - chunk.count(b"\r\n")
        end = max(chunk.rfind(b"\n", 0, position - done), chunk.rfind(b"\r", 0, position - done))
        last = done + end + 1 if end >= 0 else last
        done += len(chunk)
    return line, position - last + 1


_ROWS = 50_000
_INDEX = re.compile(r"__index_level_\d+__")
"""Columns in which pandas stores a frame's index."""


def csv_of_parquet(file: IO[bytes], new: NewFile, limit: int | None = None) -> IO[bytes]:
    """Write Parquet as a CSV with `;` to a file from `new()`, and close `file`. Raises SourceError or TooLargeError."""
    import pyarrow as pa  # 60 MB of memory, which a service that never gets a list saves
    from pyarrow import csv
    from pyarrow import parquet as pq

    target = new()
    with owned(target):
        try:
            source = pq.ParquetFile(file)
            names = [name for name in source.schema_arrow.names if not _INDEX.fullmatch(name)]
            schema = pa.schema([(name, _arrow_type(source.schema_arrow.field(name))) for name in names])
            with csv.CSVWriter(target, schema, write_options=csv.WriteOptions(delimiter=";")) as writer:
                for batch in source.iter_batches(_ROWS, columns=names):
                    writer.write_table(pa.Table.from_batches([batch]).select(names).cast(schema))
                    if limit is not None and target.tell() > limit:
                        raise TooLargeError(f"as CSV, the file is larger than {limit} bytes; split it")
        except pa.ArrowException as error:
            raise SourceError("this is not a complete, readable .parquet file: export it again") from error
    file.close()
    target.flush()
    return target


def _arrow_type(field: Any) -> Any:
    """Arrow type in which a column is written. Raises SourceError for nested types."""
    import pyarrow as pa

    kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    if pa.types.is_nested(kind):
        raise SourceError(f"column {field.name[:40]!r} holds lists or structures: export one value per cell")
    return pa.string() if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) else kind


def plain_csv(file: IO[bytes], new: NewFile, limit: int | None = None, codec: str | None = None) -> PlainText:
    """Return the CSV in a file that is text in any charset, Parquet or a workbook, compressed or not.

    The result is `file` itself or a file from `new()`; every other file is closed. Raises SourceError, or TooLargeError
    above `limit` bytes.
    """
    file = unpacked(file, new, limit)
    with owned(file):
        kind = format_of(file)
        if kind is Format.PARQUET:
            return PlainText(csv_of_parquet(file, new, limit), None)
        if kind is Format.WORKBOOK:
            return PlainText(csv_of_workbook(file, new, limit), None)
        return utf8(file, new, codec)
