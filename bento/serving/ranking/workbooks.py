"""Ranked lists as workbooks: of an answer to `/rank`, and of one that was planned otherwise, `POST /workbook`."""

import asyncio
import tempfile
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, closing
from pathlib import Path
from typing import IO

import msgspec

from deposit.data.readings import Reading
from deposit.data.tables.unpacking import owned
from deposit.data.tables.workbook import convert
from deposit.sections import ServeSettings
from serving.bodies import refusals
from serving.http import XLSX, Answer, Request, whole
from serving.problems import http_error
from serving.ranking.upload import receive

_PART = 2**20
_AS_FILE = ((b"content-disposition", b'attachment; filename="ranked.xlsx"'),)
_FAILED = "no workbook can be made of this: send a list as /rank answers it, in UTF-8"


class Workbooks:
    """Makes one at a time, by a process of its own."""

    def __init__(self, limits: ServeSettings, folder: Path) -> None:
        self._folder = folder
        self._limits = limits
        self._making = ThreadPoolExecutor(max_workers=1, thread_name_prefix="workbooks")

    async def __call__(self, request: Request) -> Answer:
        """A list as `/rank` gives it for `Accept: text/csv`, as .xlsx; nothing is scored. Raises RequestError.

        With the answer's header X-Readings, the workbook has their sheet.
        """
        readings = _stated_readings(request)
        upload = await receive(request, self._folder, self._limits.max_rank_bytes)
        with closing(upload.file):
            parts = await self._made(upload.file, readings)
        most = self._limits.max_answer_bytes
        return Answer(parts if most is None else await whole(parts, most), XLSX, _AS_FILE)

    async def of_csv(
        self, parts: AsyncGenerator[bytes, None], readings: Sequence[Reading]
    ) -> AsyncGenerator[bytes, None]:
        """The parts of a workbook of those of a CSV answer. Raises RequestError."""
        with self._new() as file:
            async with aclosing(parts):
                async for part in parts:
                    file.write(part)
            file.flush()
            return await self._made(file, readings)

    async def _made(self, file: IO[bytes], readings: Sequence[Reading] | None) -> AsyncGenerator[bytes, None]:
        return _parts(await asyncio.get_running_loop().run_in_executor(self._making, self._make, file, readings))

    def _make(self, file: IO[bytes], readings: Sequence[Reading] | None) -> IO[bytes]:
        from serving import workbook_writer  # and its library, which few services need
        from serving.ranking.responses import ADDED

        arguments = (str(self._folder), msgspec.json.encode(readings).decode(), *ADDED)
        target = self._new()
        with owned(target), refusals(422, "file"):
            convert(workbook_writer.__name__, file, target, _FAILED, arguments=arguments)
        target.seek(0)
        return target

    def _new(self) -> IO[bytes]:
        return tempfile.TemporaryFile(dir=self._folder)


def _stated_readings(request: Request) -> list[Reading] | None:
    header = request.headers.get(b"x-readings")
    if header is None:
        return None
    try:
        return msgspec.json.decode(header, type=list[Reading])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise http_error(422, "must be as /rank gave it with the list, or left out", "X-Readings") from error


async def _parts(file: IO[bytes]) -> AsyncGenerator[bytes, None]:
    with closing(file):
        while part := await asyncio.to_thread(file.read, _PART):
            yield part
