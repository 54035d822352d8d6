"""`POST /outcomes`: what became of predictions, as JSON or CSV, on the disk before the answer leaves."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

from deposit.monitoring.entries import StatedOutcome, StatedOutcomes, encode_entry
from deposit.sections import ServeSettings
from serving import statements
from serving.customers import encode
from serving.http import JSON, Answer, Request, charset_of, content_type
from serving.lists import stated_codec
from serving.problems import refuse
from serving.recorder import Recorder

_CSV = b"text/csv"
_LARGE_BODY = 64 * 2**10
"""Bodies above this are read in a thread, so that the event loop goes on with the predictions."""


class Outcomes:
    """Accepts outcomes whole or not at all; whether their predictions are known is nobody's question here."""

    def __init__(self, recorder: Recorder, limits: ServeSettings) -> None:
        self._recorder = recorder
        self._limits = limits
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="outcomes")

    async def __call__(self, request: Request) -> Answer:
        """The JSON answer `{"accepted": n}`. Raises RequestError with the problems found."""
        kind = content_type(request)
        if kind not in {JSON, _CSV}:
            raise refuse(415, "send the outcomes as Content-Type: application/json or text/csv")
        received = time.time_ns() // 1000
        body = await request.body(self._limits.max_body_bytes)
        given = kind, body, charset_of(request), received
        if len(body) <= _LARGE_BODY:
            outcomes = self._read(*given)
        else:
            outcomes = await asyncio.get_running_loop().run_in_executor(self._pool, self._read, *given)
        stated = StatedOutcomes(request.id.decode(), request.client.name, received, outcomes)
        await self._recorder.record(encode_entry(stated, len(outcomes)))
        return Answer(encode({"accepted": len(outcomes)}))

    def _read(self, kind: bytes, body: bytes, charset: str | None, received: int) -> list[StatedOutcome]:
        if kind == _CSV:
            rows = statements.of_csv(body, self._limits.max_body_bytes, stated_codec(charset))
        else:
            rows = statements.of_json(body, charset)
        return statements.checked(rows, self._limits.max_customers, received)
