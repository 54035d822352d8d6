"""Streams an upload, a multipart form or a bare file, to disk without holding it in memory."""

import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any
from urllib.parse import parse_qsl

from python_multipart.exceptions import FormParserError, MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from deposit.data.tables.unpacking import NewFile
from serving.http import XLSX, Request, charset_of, content_type
from serving.problems import http_error

FILE = "file"
CHARSET = "charset"
FIELDS = ("capacity", "deposit_value", "call_cost", "reasons", "model", CHARSET)
_FORM, _CSV = b"multipart/form-data", b"text/csv"
_MAX_FIELD_BYTES = 1024
_MAX_PARTS = 20


@dataclass
class Upload:
    """An uploaded list in an anonymous temporary file, which disappears with the process, and the other form fields.

    Args:
        file: the list as it was sent.
        new: function that creates another temporary file.
        fields: form fields by name.
        part_charset: charset declared by the file's own Content-Type; None if it declares none.
    """

    file: IO[bytes]
    new: NewFile
    fields: dict[str, str] = field(default_factory=dict)
    part_charset: str | None = None

    @property
    def charset(self) -> str | None:
        """The declared charset; the form field takes precedence over the file's Content-Type."""
        return self.fields.get(CHARSET) or self.part_charset


async def receive(request: Request, folder: Path, limit: int) -> Upload:
    """Receive an upload. Raises RequestError 400, 413, 415 or 422, and then leaves nothing on the disk."""
    kind = content_type(request)
    if kind not in (_FORM, _CSV, XLSX):
        raise http_error(
            415,
            "send a form (multipart/form-data) with the list as `file`, or the list itself: CSV as text/csv, "
            f".xlsx as {XLSX.decode()}",
        )
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def new() -> IO[bytes]:
        return tempfile.TemporaryFile(dir=folder)

    upload = Upload(new(), new, _query(request))
    try:
        if kind != _FORM:
            upload.part_charset = charset_of(request)
            async for part in request.chunks(limit):
                upload.file.write(part)
        else:
            await _read_form(request.chunks(limit), request.headers[b"content-type"], upload)
        upload.file.flush()
    except BaseException:
        upload.file.close()
        raise
    return upload


async def _read_form(chunks: AsyncIterator[bytes], header: bytes, upload: Upload) -> None:
    boundary = parse_options_header(header)[1].get(b"boundary")
    if not boundary:
        raise http_error(400, "the form's Content-Type has no boundary")
    form = _Form(upload)
    try:
        parser = MultipartParser(boundary, form.callbacks())
        async for part in chunks:
            parser.write(part)
        parser.finalize()
    except (FormParserError, MultipartParseError) as error:
        raise http_error(400, "the form cannot be read: it is not multipart/form-data with this boundary") from error
    if not form.complete:
        raise http_error(400, "the form is incomplete; send it again")
    if not form.has_file:
        raise http_error(422, "is required: the list of customers", FILE)


class _Form:
    """Handles the parser's events: the file is written to disk, small fields are kept in memory."""

    def __init__(self, upload: Upload) -> None:
        self.has_file = False
        self.complete = False
        self._upload = upload
        self._header, self._value = b"", b""
        self._name, self._charset = "", ""
        self._content = bytearray()
        self._parts = 0

    def callbacks(self) -> Any:
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._on_field,
            "on_header_value": self._on_value,
            "on_header_end": self._on_header,
            "on_part_data": self._on_data,
            "on_part_end": self._end,
            "on_end": self._finish,
        }

    def _begin(self) -> None:
        self._name, self._charset, self._content = "", "", bytearray()
        self._header, self._value = b"", b""
        self._parts += 1
        if self._parts > _MAX_PARTS:
            raise http_error(422, f"the form has more than {_MAX_PARTS} parts")

    def _on_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header(self) -> None:
        if self._header.lower() == b"content-disposition":
            name = parse_options_header(self._value)[1].get(b"name", b"")
            self._name = name.decode(errors="replace")[:_MAX_FIELD_BYTES]
            if self._name == FILE and self.has_file:
                raise http_error(422, "appears twice; send one list at a time", FILE)
            if self._name not in (FILE, *FIELDS):
                fields = ", ".join(FIELDS)
                raise http_error(422, f"unknown field; the form has {FILE} and, optionally, {fields}", self._name)
            self.has_file |= self._name == FILE
        elif self._header.lower() == b"content-type":
            self._charset = parse_options_header(self._value)[1].get(b"charset", b"").decode(errors="replace")
        self._header, self._value = b"", b""

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        if self._name == FILE:
            self._upload.file.write(memoryview(data)[start:end])
            return
        self._content += data[start:end]
        if len(self._content) > _MAX_FIELD_BYTES:
            raise http_error(422, f"is longer than {_MAX_FIELD_BYTES} bytes", self._name or None)

    def _end(self) -> None:
        if self._name == FILE:
            self._upload.part_charset = self._charset or None
        elif self._name:
            self._upload.fields[self._name] = self._content.decode(errors="replace").strip()

    def _finish(self) -> None:
        self.complete = True


def _query(request: Request) -> dict[str, str]:
    try:
        parameters = parse_qsl(
            request.query.decode(), keep_blank_values=True, errors="replace", max_num_fields=_MAX_PARTS
        )
    except ValueError as error:
        raise http_error(422, "the query cannot be read") from error
    for name, _ in parameters:
        if name not in FIELDS:
            raise http_error(422, f"unknown parameter; there are {', '.join(FIELDS)}", name[:64])
    return {name: value.strip() for name, value in parameters}
