"""What a message shows of something long: never more than fits a screen. Pure."""

import gzip
import lzma
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from enum import Enum
from pathlib import PurePosixPath
from typing import IO

from deposit.errors import SourceError, TooLargeError


def cut(text: str, most: int) -> str:
    """A text, or its first letters where it has more than `most`."""
    return text if len(text) <= most else f"{text[:most]}…"


def few(texts: Sequence[str], most: int) -> str:
    """The first of some texts, and how many more there are."""
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return ", ".join(texts[:most]) + more


HEAD_BYTES = 1024
_TAR = slice(257, 262)
_SAVE = "in the spreadsheet choose Save as, CSV"
_UNPACK = "unpack it and send the CSV"
_EXPORT = "export the rows as CSV"


class Format(Enum):
    """A kind of file: what it is in words, and what to do if it is not read."""

    TEXT = ("a text file", "")
    GZIP = ("a .gz file", _UNPACK)
    XZ = ("a .xz file", _UNPACK)
    ZIP = ("a .zip archive", _UNPACK)
    PARQUET = ("a .parquet file", _EXPORT)
    WORKBOOK = ("a workbook (.xlsx, .xls or .ods)", _SAVE)
    DOCUMENT = ("a text document", "copy its table into a spreadsheet and save that as CSV")
    ZSTD = ("a .zst file", _UNPACK)
    BZIP2 = ("a .bz2 file", _UNPACK)
    SEVEN_ZIP = ("a .7z archive", _UNPACK)
    RAR = ("a .rar archive", _UNPACK)
    TAR = ("a .tar archive", _UNPACK)
    ARROW = ("an Arrow or Feather file", _EXPORT)
    ORC = ("an ORC file", _EXPORT)
    AVRO = ("an Avro file", _EXPORT)
    SQLITE = ("an SQLite database", _EXPORT)
    PICKLE = ("a Python pickle", f"{_EXPORT}: a pickle may run code and is never opened")
    PDF = ("a PDF", _EXPORT)
    PICTURE = ("a picture", _EXPORT)
    HTML = ("a web page (HTML)", f"{_EXPORT}; a login page or a spreadsheet's web export looks like this")
    XML = ("an XML file", _EXPORT)
    JSON = ("JSON", _EXPORT)

    @property
    def title(self) -> str:
        """In words, with the article."""
        return self.value[0]

    @property
    def advice(self) -> str:
        """What to do with a file that is not read."""
        return self.value[1]


_MAGIC: tuple[tuple[bytes, Format], ...] = (
    (b"\x1f\x8b", Format.GZIP),
    (b"\xfd7zXZ\0", Format.XZ),
    (b"PK\x03\x04", Format.ZIP),
    (b"PK\x05\x06", Format.ZIP),
    (b"PAR1", Format.PARQUET),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Format.WORKBOOK),
    (b"{\\rtf", Format.DOCUMENT),
    (b"\x28\xb5\x2f\xfd", Format.ZSTD),
    (b"BZh", Format.BZIP2),
    (b"7z\xbc\xaf\x27\x1c", Format.SEVEN_ZIP),
    (b"Rar!", Format.RAR),
    (b"ARROW1", Format.ARROW),
    (b"FEA1", Format.ARROW),
    (b"ORC", Format.ORC),
    (b"Obj\x01", Format.AVRO),
    (b"SQLite format 3\0", Format.SQLITE),
    (b"\x80\x04", Format.PICKLE),
    (b"\x80\x05", Format.PICKLE),
    (b"%PDF", Format.PDF),
    (b"\x89PNG", Format.PICTURE),
    (b"\xff\xd8\xff", Format.PICTURE),
    (b"GIF8", Format.PICTURE),
)
_MARKUP: tuple[tuple[re.Pattern[bytes], Format], ...] = (
    (re.compile(rb"<(!doctype html|html|head|body|table|meta)\b", re.IGNORECASE), Format.HTML),
    (re.compile(rb"<\?xml|<[A-Za-z]+[ >]"), Format.XML),
    (re.compile(rb"[\[{]"), Format.JSON),
)


def sniff(head: bytes) -> Format:
    """The kind of a file that begins with `head` (1 KiB of it, or all); text where nothing else fits."""
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    if head[_TAR] == b"ustar":
        return Format.TAR
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    return next((kind for pattern, kind in _MARKUP if pattern.match(text)), Format.TEXT)


def in_archive(names: list[str]) -> Format | None:
    """What a zip with these entries is if it is one document and no archive."""
    if "[Content_Types].xml" in names:
        return Format.WORKBOOK if any(name.startswith("xl/") for name in names) else Format.DOCUMENT
    if names[:1] == ["mimetype"]:  # OpenDocument; of its kinds, tables are what people send
        return Format.WORKBOOK
    return None


NewFile = Callable[[], IO[bytes]]
Readable = IO[bytes] | gzip.GzipFile | lzma.LZMAFile
_CHUNK = 2**20
_LAYERS = 3
_NAMED = 5
_WHOLE = {Format.GZIP: ".gz file", Format.XZ: ".xz file", Format.ZIP: ".zip archive or workbook"}
_DAMAGED = (lzma.LZMAError, gzip.BadGzipFile, zlib.error, zipfile.BadZipFile, EOFError)


def format_of(file: IO[bytes]) -> Format:
    """What a file is; it is at its beginning afterwards. Raises SourceError for an empty one."""
    file.seek(0)
    head = file.read(HEAD_BYTES)
    file.seek(0)
    if not head:
        raise SourceError("the file is empty")
    return sniff(head)


def unpacked(file: IO[bytes], new: NewFile, limit: int | None = None, wanted: str = "") -> IO[bytes]:
    """The innermost file: `file` itself if it is not packed, else one of `new`; what is not given back is closed.

    Of an archive with several files the one named `wanted` is taken. Raises SourceError (empty, damaged, neither text
    nor Parquet, or which file?) or TooLargeError above `limit` bytes.
    """
    for _ in range(_LAYERS):
        with owned(file):
            kind = format_of(file)
            if kind in (Format.TEXT, Format.PARQUET):
                return file
            if kind not in _WHOLE:
                raise _refusal(kind)
            inner = new()
            with owned(inner):
                _copy(file, kind, inner, limit, wanted)
        file.close()
        file = inner
    file.close()
    raise SourceError(f"the file is packed {_LAYERS} times or more: unpack it")


@contextmanager
def owned(file: IO[bytes]) -> Iterator[None]:
    """Close a file if the block fails."""
    try:
        yield
    except BaseException:
        file.close()
        raise


def _refusal(kind: Format) -> SourceError:
    return SourceError(f"this is {kind.title}, not a CSV: {kind.advice}")


def _copy(file: IO[bytes], kind: Format, target: IO[bytes], limit: int | None, wanted: str) -> None:
    try:
        if kind is Format.ZIP:
            with zipfile.ZipFile(file) as archive:
                _extract(archive, target, limit, wanted)
        else:
            with gzip.open(file) if kind is Format.GZIP else lzma.open(file) as stream:
                copy(stream, target, limit)
    except _DAMAGED as error:
        raise SourceError(f"this is not a whole {_WHOLE[kind]}: fetch it again") from error


def copy(stream: Readable, target: IO[bytes], limit: int | None) -> None:
    """All of a stream to a file. Raises TooLargeError above `limit` bytes."""
    size = 0
    while chunk := stream.read(_CHUNK):
        size += len(chunk)
        if limit is not None and size > limit:
            raise TooLargeError(f"unpacked, the file is larger than {limit} bytes; split it")
        target.write(chunk)
    target.flush()


def _extract(archive: zipfile.ZipFile, target: IO[bytes], limit: int | None, wanted: str) -> None:
    document = in_archive(archive.namelist())
    if document:
        raise _refusal(document)
    entry = _entry(archive, wanted)
    try:
        with archive.open(entry) as stream:
            copy(stream, target, limit)
    except (RuntimeError, NotImplementedError) as error:  # a password, or a method that Python does not know
        raise SourceError(
            "the .zip archive is encrypted or packed in a rare way: unpack it and send the CSV"
        ) from error


def _entry(archive: zipfile.ZipFile, wanted: str) -> str:
    """The entry to read: the one of the wanted name, a nested archive that holds it, or the only one."""
    names = [name for name in archive.namelist() if _is_file(name)]  # macOS adds shadows of each file
    named = [name for name in names if PurePosixPath(name).name == wanted]
    named = named or [name for name in names if name.lower().endswith(".zip") and _holds(archive, name, wanted)]
    if named or len(names) == 1:
        return (named or names)[0]
    if not names:
        raise SourceError("the .zip archive holds no file: fetch it again")
    holds = f"holds no {wanted} but" if wanted else "holds"
    raise SourceError(
        f"the .zip archive {holds} {len(names)} files ({few([name[:80] for name in names], _NAMED)}): "
        "unpack it and send one"
    )


def _is_file(name: str) -> bool:
    return not name.endswith("/") and not name.startswith("__MACOSX/") and PurePosixPath(name).name != ".DS_Store"


def _holds(archive: zipfile.ZipFile, name: str, wanted: str) -> bool:
    if not wanted:
        return False
    with archive.open(name) as stream, closing(zipfile.ZipFile(stream)) as inner:
        return any(PurePosixPath(entry).name == wanted for entry in inner.namelist() if _is_file(entry))
