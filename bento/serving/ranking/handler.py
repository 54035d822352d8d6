"""The handler of `POST /rank`."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

from deposit.data.tables.plaintext import plain_csv
from deposit.log.entries import Entry
from deposit.settings import Settings
from serving.bodies import declared_codec, refusals
from serving.http import JSON, Answer, Request, event_time_of, is_dry_run
from serving.models import ModelCache
from serving.problems import http_error
from serving.ranking.rank_options import parse_options
from serving.ranking.upload import Upload, receive
from serving.recorder import Recorder
from serving.request_counts import Metrics

if TYPE_CHECKING:
    from serving.ranking.ranked import Ranked

_AT_ONCE = 4
"""Lists that may be on their way; one is scored at a time."""
_LATER = ((b"retry-after", b"10"),)
_CSV = b"text/csv; charset=utf-8"


class Ranking:
    """Takes a list to the disk, scores it in a thread, and answers when every prediction is recorded."""

    def __init__(self, models: ModelCache, recorder: Recorder, metrics: Metrics, settings: Settings) -> None:
        self._models = models
        self._recorder = recorder
        self._metrics = metrics
        self._limits = settings.serve
        self._economics = settings.economics
        self._folder = settings.state.uploads
        self._scoring = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ranking")
        self._answering = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ranked")
        self._under_way = 0

    async def __call__(self, request: Request) -> Answer:
        """JSON, or the list itself with columns added for `Accept: text/csv`. Raises RequestError."""
        if self._under_way >= _AT_ONCE:
            raise http_error(503, f"{_AT_ONCE} lists are being ranked already; try again in a moment", headers=_LATER)
        self._under_way += 1
        try:
            upload = await receive(request, self._folder, self._limits.max_rank_bytes)
            try:
                ranked = await self._ranked(request, upload)
            except BaseException:
                upload.file.close()
                raise
        finally:
            self._under_way -= 1
        return self._answer(ranked, b"text/csv" in request.headers.get(b"accept", b""))

    async def _ranked(self, request: Request, upload: Upload) -> "Ranked":
        options, codec = parse_options(upload.fields, self._economics), declared_codec(upload.charset)
        loaded = await self._models.get(options.model)
        # 60 MB of memory that a service which never sees a list does without
        from serving.ranking.ranked import RequestOrigin, rank

        event_time, dry_run = event_time_of(request), is_dry_run(request)
        origin = RequestOrigin(request.id.decode(), request.client.name, event_time, request.started)
        loop = asyncio.get_running_loop()

        def plain() -> None:
            with refusals(422, "file"):
                upload.file = plain_csv(upload.file, upload.new, self._limits.max_rank_bytes, codec)

        def record(entry: Entry) -> None:
            if dry_run:
                return
            written: Future[None] = asyncio.run_coroutine_threadsafe(self._recorder.record(entry), loop)
            written.result()

        await loop.run_in_executor(self._scoring, plain)
        work = partial(rank, upload.file, loaded, options, origin, self._limits.max_rank_rows, record)
        ranked = await loop.run_in_executor(self._scoring, work)
        if not dry_run:
            yes = int((ranked.probabilities >= loaded.artifact.threshold).sum())
            self._metrics.count_predictions(loaded.model_id, yes, len(ranked.numbers) - yes)
        return ranked

    def _answer(self, ranked: "Ranked", as_csv: bool) -> Answer:
        from serving.ranking import responses

        model_id = ranked.loaded.model_id
        headers = (
            (b"x-model", model_id.encode()),
            (b"x-rows", str(len(ranked.numbers)).encode()),
            (b"x-rejected", str(len(ranked.rejected)).encode()),
            (b"x-extra-columns", ", ".join(ranked.extra).encode("ascii", "replace").replace(b"\n", b" ")),
        )
        if not as_csv:
            return Answer(self._streamed(ranked, responses.as_json(ranked)), JSON, headers, model_id=model_id)
        disposition = (b"content-disposition", b'attachment; filename="ranked.csv"')
        return Answer(
            self._streamed(ranked, responses.as_csv(ranked)), _CSV, (*headers, disposition), model_id=model_id
        )

    async def _streamed(self, ranked: "Ranked", parts: Iterator[bytes]) -> AsyncGenerator[bytes]:
        """The parts, each made in a thread; the list's file is gone with the last."""
        loop = asyncio.get_running_loop()
        with closing(ranked.file):
            while (part := await loop.run_in_executor(self._answering, next, parts, None)) is not None:
                yield part
