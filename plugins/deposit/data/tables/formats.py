"""Detect a file's format by its content, never by its name; shorten long texts and lists for messages."""

import codecs
import re
import zipfile
from collections.abc import Sequence
from enum import Enum
from typing import IO

from deposit.errors import SourceError


def cut(text: str, most: int) -> str:
    """Truncate a text to its first `most` characters."""
    return text if len(text) <= most else f"{text[:most]}…"


def few(texts: Sequence[str], most: int) -> str:
    """Join the first `most` texts, and count the rest."""
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return ", ".join(texts[:most]) + more


HEAD_BYTES = 1024
_CHUNK = 2**20
_TAR = slice(257, 262)
_SAVE = "in the spreadsheet choose Save as, Excel workbook (.xlsx) or CSV"
_UNPACK = "unpack it and send the CSV"
_EXPORT = "export the rows as CSV"


class Format(Enum):
    """A file format: a description, and what to do with such a file if it is not supported."""

    TEXT = ("a text file", "")
    GZIP = ("a .gz file", _UNPACK)
    XZ = ("a .xz file", _UNPACK)
    ZIP = ("a .zip archive", _UNPACK)
    PARQUET = ("a .parquet file", _EXPORT)
    WORKBOOK = ("an Excel workbook (.xlsx)", "")
    OLD_WORKBOOK = ("an old Excel workbook (.xls)", _SAVE)
    BINARY_WORKBOOK = ("a binary Excel workbook (.xlsb)", _SAVE)
    LOCKED = ("a document with a password", "open it, remove the password and save it again")
    OPEN_DOCUMENT = ("an OpenDocument file (.ods)", _SAVE)
    NUMBERS = ("a Numbers document", "in Numbers choose File, Export To, Excel or CSV")
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
        """Description of the format, with the article."""
        return self.value[0]

    @property
    def advice(self) -> str:
        """What to do with a file of an unsupported format."""
        return self.value[1]


_MAGIC: tuple[tuple[bytes, Format], ...] = (
    (b"\x1f\x8b", Format.GZIP),
    (b"\xfd7zXZ\0", Format.XZ),
    (b"PK\x03\x04", Format.ZIP),
    (b"PK\x05\x06", Format.ZIP),
    (b"PAR1", Format.PARQUET),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Format.OLD_WORKBOOK),
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
    (b"MIME-Version:", Format.HTML),
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
    """Detect a file's format by its first bytes (1 KiB, or the whole file); plain text if nothing else matches."""
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    if head[_TAR] == b"ustar":
        return Format.TAR
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        head = head.decode("utf-16", "ignore").encode()
    text = head.removeprefix(codecs.BOM_UTF8).lstrip()
    return next((kind for pattern, kind in _MARKUP if pattern.match(text)), Format.TEXT)


def format_of(file: IO[bytes]) -> Format:
    """Detect a file's format and rewind the file. Raises SourceError if it is empty."""
    file.seek(0)
    head = file.read(HEAD_BYTES)
    if not head:
        raise SourceError("the file is empty")
    kind = sniff(head)
    if kind is Format.ZIP:
        kind = _of_archive(file)
    elif kind is Format.OLD_WORKBOOK and _is_encrypted(file):
        kind = Format.LOCKED
    file.seek(0)
    return kind


def _of_archive(file: IO[bytes]) -> Format:
    """Tell documents that are zip files from plain archives, which may be damaged."""
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile:
        return Format.ZIP
    if "[Content_Types].xml" in names:
        parts = {"xl/workbook.xml": Format.WORKBOOK, "xl/workbook.bin": Format.BINARY_WORKBOOK}
        return next((kind for part, kind in parts.items() if part in names), Format.DOCUMENT)
    if any(name.startswith("Index/") and name.endswith(".iwa") for name in names):
        return Format.NUMBERS
    # any OpenDocument file counts as a spreadsheet, which is what people send
    return Format.OPEN_DOCUMENT if names[:1] == ["mimetype"] else Format.ZIP


def _is_encrypted(file: IO[bytes]) -> bool:
    """Whether a compound file holds an encrypted .xlsx, judged by the name of its stream (MS-OFFCRYPTO, 2.3.4)."""
    name, rest = "EncryptedPackage".encode("utf-16-le"), b""
    file.seek(0)
    while chunk := file.read(_CHUNK):
        if name in rest + chunk:
            return True
        rest = chunk[-len(name) :]
    return False
