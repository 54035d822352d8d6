"""Scoring in batches: requests that arrive in one turn of the event loop share one call of the model.

A call of XGBoost costs 160 µs before its first row and 1 µs a row, so batching is what makes single rows fast; no
request waits for others to come.
"""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from deposit.log.entries import Entry, ScoredRequest, encode_entry
from serving.models import LoadedModel
from serving.prometheus import Metrics
from serving.recorder import BYTES, Recorder, new_ids, texts
from serving.request_schemas import Prediction, PredictResponse, encode, rows

_LARGE = 256
"""Requests with more rows are scored in a thread, so that the event loop goes on with the small ones."""


class ScoringRequest(NamedTuple):
    """One checked request on its way to an answer.

    Args:
        event_time: microseconds since the epoch, UTC.
        started: `time.perf_counter()` when the request came.
        recorded: False leaves no trace in the log, for the checks of a release.
    """

    loaded: LoadedModel
    customers: list[Any]
    body: bytes
    request_id: str
    client: str
    event_time: int
    started: float
    recorded: bool


class ScoringResult(NamedTuple):
    """A job's answer and what must be on the disk before it leaves."""

    answer: bytes
    entry: Entry
    yes: int


class MicroBatcher:
    """Scores jobs and records them; the answer comes when it is durable."""

    def __init__(self, recorder: Recorder, metrics: Metrics) -> None:
        self._recorder = recorder
        self._metrics = metrics
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="scoring")
        self._waiting: list[tuple[ScoringRequest, asyncio.Future[bytes]]] = []

    async def score(self, job: ScoringRequest) -> bytes:
        """The JSON answer. Raises RequestError 503 if the prediction cannot be recorded."""
        loop = asyncio.get_running_loop()
        if len(job.customers) > _LARGE:
            scored = await loop.run_in_executor(self._pool, score_jobs, [job])
            future: asyncio.Future[bytes] = loop.create_future()
            self._record([(job, future)], scored)
            return await future
        future = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._flush)
        self._waiting.append((job, future))
        return await future

    def _flush(self) -> None:
        batch, self._waiting = self._waiting, []
        by_model: dict[str, list[tuple[ScoringRequest, asyncio.Future[bytes]]]] = {}
        for pair in batch:
            by_model.setdefault(pair[0].loaded.model_id, []).append(pair)
        for pairs in by_model.values():
            try:
                self._record(pairs, score_jobs([job for job, _ in pairs]))
            except Exception as error:  # whatever it is, each of these requests must hear of it
                for _, future in pairs:
                    _resolve(future, error)

    def _record(self, pairs: list[tuple[ScoringRequest, "asyncio.Future[bytes]"]], scored: list[ScoringResult]) -> None:
        def done(error: BaseException | None) -> None:
            for (job, future), result in zip(pairs, scored, strict=True):
                if error is None and job.recorded:
                    self._metrics.count_predictions(job.loaded.model_id, result.yes, len(job.customers) - result.yes)
                _resolve(future, error or result.answer)

        entries = [result.entry for (job, _), result in zip(pairs, scored, strict=True) if job.recorded]
        if entries:
            self._recorder.submit(entries, done)
        else:
            done(None)


def score_jobs(jobs: list[ScoringRequest]) -> list[ScoringResult]:
    """Answers and log entries of jobs for one model, by one call of it."""
    artifact = jobs[0].loaded.artifact
    table = [row for job in jobs for row in rows(job.customers)]
    probabilities = artifact.probabilities(artifact.encoder.encode_rows(table)).tolist()
    ids = new_ids(len(table))
    scored, start = [], 0
    for job in jobs:
        end = start + len(job.customers)
        scored.append(_scored(job, probabilities[start:end], ids[start * BYTES : end * BYTES]))
        start = end
    return scored


def _scored(job: ScoringRequest, probabilities: list[float], ids: bytes) -> ScoringResult:
    threshold, model_id = job.loaded.artifact.threshold, job.loaded.model_id
    predictions = [
        Prediction(customer.id, prediction_id, probability, probability >= threshold)
        for customer, prediction_id, probability in zip(job.customers, texts(ids), probabilities, strict=True)
    ]
    answer = encode(PredictResponse(model_id, predictions))
    logged = ScoredRequest(
        request_id=job.request_id,
        client=job.client,
        model_id=model_id,
        threshold=threshold,
        event_time=job.event_time,
        latency_ms=(time.perf_counter() - job.started) * 1000,
        prediction_ids=ids,
        probabilities=probabilities,
        body=job.body,
    )
    yes = sum(prediction.subscribes for prediction in predictions)
    return ScoringResult(answer, encode_entry(logged, len(predictions)), yes)


def _resolve(future: "asyncio.Future[bytes]", result: bytes | BaseException) -> None:
    if future.done():  # its client went away
        return
    if isinstance(result, BaseException):
        future.set_exception(result)
    else:
        future.set_result(result)
