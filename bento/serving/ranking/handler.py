"""The handler of `POST /rank`."""

import asyncio
from collections.abc import AsyncGenerator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from deposit.data.tables.plaintext import PlainText, plain_csv
from deposit.log.entries import Entry
from deposit.sections import EconomicsSettings, ServeSettings
from serving.bodies import declared_codec, refusals
from serving.http import JSON, XLSX, Answer, Request, event_time_of, is_dry_run, whole
from serving.models import ModelCache
from serving.problems import http_error
from serving.ranking.rank_options import parse_options
from serving.ranking.reading_headers import header_text, reading_headers
from serving.ranking.upload import Upload, receive
from serving.ranking.workbooks import Workbooks
from serving.recorder import Recorder
from serving.request_counts import Metrics

if TYPE_CHECKING:
    from serving.ranking.ranked import Ranked

_AT_ONCE = 4
"""Maximum number of lists in progress; they are scored one at a time."""
_LATER = ((b"retry-after", b"10"),)
_CSV = b"text/csv"
_KINDS = {XLSX: (XLSX, b"ranked.xlsx"), _CSV: (b"text/csv; charset=utf-8", b"ranked.csv")}
"""Media types other than JSON that Accept may request: Content-Type and file name of the response."""


class Ranking:
    """Stores a list on disk, scores it in a thread, and responds once every prediction is recorded."""

    def __init__(
        self,
        models: ModelCache,
        recorder: Recorder,
        metrics: Metrics,
        limits: ServeSettings,
        economics: EconomicsSettings,
        folder: Path,
        workbooks: Workbooks,
    ) -> None:
        self._models = models
        self._recorder = recorder
        self._metrics = metrics
        self._workbooks = workbooks
        self._limits = limits
        self._economics = economics
        self._folder = folder
        self._scoring = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ranking")
        self._answering = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ranked")
        self._under_way = 0

    async def __call__(self, request: Request) -> Answer:
        """Return JSON, or the list itself with added columns if `Accept` names CSV or .xlsx. Raises RequestError."""
        if self._under_way >= _AT_ONCE:
            raise http_error(503, f"{_AT_ONCE} lists are being ranked already; try again in a moment", headers=_LATER)
        self._under_way += 1
        held: list[Entry] | None = None if self._limits.max_answer_bytes is None else []
        try:
            upload = await receive(request, self._folder, self._limits.max_rank_bytes)
            try:
                ranked = await self._ranked(request, upload, held)
            except BaseException:
                upload.file.close()
                raise
        finally:
            self._under_way -= 1
        accept = request.headers.get(b"accept", b"")
        kind = next((kind for kind in _KINDS if kind in accept), JSON)
        parts = self._streamed(ranked, as_csv=kind != JSON)
        if kind == XLSX:
            parts = await self._workbooks.of_csv(parts, ranked.readings, ranked.dialect)
        if held is not None:
            body = await whole(parts, self._limits.max_answer_bytes or 0)
            await self._recorder.record(*held)
        if not is_dry_run(request):
            yes = int((ranked.probabilities >= ranked.loaded.artifact.threshold).sum())
            self._metrics.count_predictions(ranked.loaded.model_id, yes, len(ranked.numbers) - yes)
        return _answer(ranked, parts if held is None else body, kind)

    async def _ranked(self, request: Request, upload: Upload, held: list[Entry] | None) -> "Ranked":
        """Rank the list; each block is recorded, or kept in `held` if the size of the response is limited."""
        options, codec = parse_options(upload.fields, self._economics), declared_codec(upload.charset)
        loaded = await self._models.get(options.model)
        # imported here: 60 MB of memory that a service without ranking requests can save
        from serving.ranking.ranked import RequestOrigin, rank

        event_time, dry_run = event_time_of(request), is_dry_run(request)
        origin = RequestOrigin(request.id.decode(), request.client.name, event_time, request.started)
        loop = asyncio.get_running_loop()
        # the previous block, which is written to disk while the next one is scored
        written: list[Future[None]] = []

        def plain() -> PlainText:
            with refusals(422, "file"):
                text = plain_csv(upload.file, upload.new, self._limits.max_rank_bytes, codec)
            upload.file = text.file
            return text

        def record(entry: Entry) -> None:
            if dry_run:
                return
            if held is not None:
                held.append(entry)
                return
            if written:
                written.pop().result()
            written.append(asyncio.run_coroutine_threadsafe(self._recorder.record(entry), loop))

        text = await loop.run_in_executor(self._scoring, plain)
        work = partial(rank, text, loaded, options, origin, self._limits.max_rank_rows, record)
        ranked = await loop.run_in_executor(self._scoring, work)
        for last in written:
            await asyncio.wrap_future(last)
        return ranked

    async def _streamed(self, ranked: "Ranked", as_csv: bool) -> AsyncGenerator[bytes, None]:
        """Yield the parts of the response, each built in a thread; the list's file is closed after the last."""
        from serving.ranking import responses
        from serving.ranking.ranked import give_back_memory

        parts = responses.as_csv(ranked) if as_csv else responses.as_json(ranked)
        loop = asyncio.get_running_loop()
        with closing(ranked.file):
            while (part := await loop.run_in_executor(self._answering, next, parts, None)) is not None:
                yield part
        del parts, ranked
        give_back_memory()


def _answer(ranked: "Ranked", body: bytes | AsyncGenerator[bytes, None], kind: bytes) -> Answer:
    """Build the response: JSON, or the list as a file with its summary in headers."""
    model_id = ranked.loaded.model_id
    headers = (
        (b"x-model", model_id.encode()),
        (b"x-stale", b"true" if ranked.stale else b"false"),
        (b"x-rows", str(len(ranked.numbers)).encode()),
        (b"x-rejected", str(len(ranked.rejected)).encode()),
        (b"x-extra-columns", header_text(", ".join(ranked.extra))),
    )
    if kind == JSON:
        return Answer(body, JSON, headers, model_id=model_id)
    content_type, name = _KINDS[kind]
    of_file = (
        *reading_headers(ranked.readings, ranked.dialect),
        (b"content-disposition", b'attachment; filename="' + name + b'"'),
    )
    return Answer(body, content_type, (*headers, *of_file), model_id=model_id)
