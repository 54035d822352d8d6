"""Ranked lists as workbooks: for responses of `/rank`, and for replanned lists sent to `POST /workbook`."""

import asyncio
import tempfile
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, closing
from pathlib import Path
from typing import IO

import msgspec

from deposit.data.readings import Reading
from deposit.data.tables.dialect import Dialect
from deposit.data.tables.unpacking import owned
from deposit.data.tables.workbook import convert
from deposit.sections import ServeSettings
from serving.bodies import refusals
from serving.http import XLSX, Answer, Request, whole
from serving.ranking.reading_headers import parse_dialect, parse_readings
from serving.ranking.upload import receive

_PART = 2**20
_AS_FILE = ((b"content-disposition", b'attachment; filename="ranked.xlsx"'),)
_FAILED = "no workbook can be made of this: send a list as /rank returns it, in UTF-8"


class Workbooks:
    """Converts ranked lists to workbooks, one at a time, in a child process."""

    def __init__(self, limits: ServeSettings, folder: Path) -> None:
        self._folder = folder
        self._limits = limits
        self._converting = ThreadPoolExecutor(max_workers=1, thread_name_prefix="workbooks")

    async def __call__(self, request: Request) -> Answer:
        """Convert a list from the CSV response of `/rank` to .xlsx, without scoring it again. Raises RequestError.

        If the request has the X-Readings header of that response, the workbook gets a sheet with the readings, which
        includes the dialect if the request has its headers too.
        """
        readings, dialect = parse_readings(request), parse_dialect(request)
        upload = await receive(request, self._folder, self._limits.max_rank_bytes)
        with closing(upload.file):
            parts = await self._converted(upload.file, readings, dialect)
        most = self._limits.max_answer_bytes
        return Answer(parts if most is None else await whole(parts, most), XLSX, _AS_FILE)

    async def of_csv(
        self, parts: AsyncGenerator[bytes, None], readings: Sequence[Reading], dialect: Dialect
    ) -> AsyncGenerator[bytes, None]:
        """Convert the parts of a CSV response to the parts of a workbook. Raises RequestError."""
        with self._new() as file:
            async with aclosing(parts):
                async for part in parts:
                    file.write(part)
            file.flush()
            return await self._converted(file, readings, dialect)

    async def _converted(
        self, file: IO[bytes], readings: Sequence[Reading] | None, dialect: Dialect | None
    ) -> AsyncGenerator[bytes, None]:
        loop = asyncio.get_running_loop()
        return _parts(await loop.run_in_executor(self._converting, self._convert, file, readings, dialect))

    def _convert(self, file: IO[bytes], readings: Sequence[Reading] | None, dialect: Dialect | None) -> IO[bytes]:
        from serving import workbook_writer  # imported here: few services need it and its library
        from serving.ranking.responses import ADDED

        encoded = (msgspec.json.encode(each).decode() for each in (readings, dialect))
        arguments = (str(self._folder), *encoded, *ADDED)
        target = self._new()
        with owned(target), refusals(422, "file"):
            convert(workbook_writer.__name__, file, target, _FAILED, arguments=arguments)
        target.seek(0)
        return target

    def _new(self) -> IO[bytes]:
        return tempfile.TemporaryFile(dir=self._folder)


async def _parts(file: IO[bytes]) -> AsyncGenerator[bytes, None]:
    with closing(file):
        while part := await asyncio.to_thread(file.read, _PART):
            yield part
