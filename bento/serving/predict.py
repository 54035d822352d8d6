"""`POST /predict`: validates customers, scores them in micro-batches, and records the predictions before it responds.

Requests that arrive in the same iteration of the event loop, or while a log transaction is running, share one model
call and the next transaction. An XGBoost call costs 160 µs plus 1 µs per row, so batching is what makes single rows
fast. No request waits for further requests to arrive; it only waits for the disk, which its response needs anyway.
"""

import asyncio
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from deposit.log.entries import Entry, ScoredRequest, encode_entry
from deposit.sections import ServeSettings
from serving import http
from serving.bodies import parse_body
from serving.models import LoadedModel, ModelCache
from serving.problems import http_error
from serving.recorder import BYTES, RANDOM_BYTES, Recorder, ids_of, texts
from serving.request_counts import Metrics
from serving.request_schemas import Prediction, PredictResponse, encode, rows

_LARGE_BODY = 64 * 2**10
_LARGE_BATCH = 256
"""Larger bodies (in bytes) are parsed, and larger requests (in rows) scored, in a thread, so that the event loop can
serve small requests. Small requests are scored without waiting for the disk once they have this many rows together:
scoring them keeps the processor busy while the transaction runs."""


class Predict:
    """Handles `/predict`: returns predictions in the order of the customers, after they are recorded."""

    def __init__(self, models: ModelCache, batcher: "MicroBatcher", limits: ServeSettings) -> None:
        self._models = models
        self._batcher = batcher
        self._limits = limits
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="large-body")

    async def __call__(self, request: http.Request) -> http.Answer:
        """Return the JSON response. Raises RequestError with all problems found."""
        if http.content_type(request) != http.JSON:
            raise http_error(415, "send the body as Content-Type: application/json")
        event_time, dry_run = http.event_time_of(request), http.is_dry_run(request)
        charset, most = http.charset_of(request), self._limits.max_customers
        body = await request.body(self._limits.max_body_bytes)
        if len(body) <= _LARGE_BODY:
            body, content = parse_body(body, charset, most)
        else:
            loop = asyncio.get_running_loop()
            body, content = await loop.run_in_executor(self._pool, parse_body, body, charset, most)
        customers: list[Any] = content.customers
        loaded = self._models.served
        if content.model is not None and content.model != loaded.model_id:
            loaded = await self._models.get(content.model)
        scoring = ScoringRequest(
            loaded,
            customers,
            body,
            request.id.decode(),
            request.client.name,
            event_time,
            request.started,
            not dry_run,
            request.attempt,
        )
        return http.Answer(await self._batcher.score(scoring), model_id=loaded.model_id)


class ScoringRequest(NamedTuple):
    """A validated request to be scored.

    Args:
        event_time: event time of the predictions, in microseconds since the epoch, UTC.
        started: value of `time.perf_counter()` when the request arrived.
        recorded: whether to log the predictions; False for the checks of a release.
        attempt: identity of the request at the gateway, None for direct requests.
    """

    loaded: LoadedModel
    customers: list[Any]
    body: bytes
    request_id: str
    client: str
    event_time: int
    started: float
    recorded: bool
    attempt: http.Attempt | None


class ScoringResult(NamedTuple):
    """A response, the log entry that must be durable before it is sent, and its number of positive predictions."""

    answer: bytes
    entry: Entry
    yes: int


_Pending = tuple[ScoringRequest, "asyncio.Future[bytes]"]


class MicroBatcher:
    """Scores requests in batches and records the predictions; a response is returned once they are durable.

    Args:
        recorder: recorder of the predictions.
        metrics: counters of the predictions.
        most: maximum size of a response in bytes; None for no limit.
    """

    def __init__(self, recorder: Recorder, metrics: Metrics, most: int | None = None) -> None:
        self._recorder = recorder
        self._metrics = metrics
        self._most = sys.maxsize if most is None else most
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="scoring")
        self._waiting: list[_Pending] = []
        self._rows = 0

    async def score(self, request: ScoringRequest) -> bytes:
        """Return the JSON response. Raises RequestError 503 if the predictions cannot be recorded."""
        loop = asyncio.get_running_loop()
        if len(request.customers) > _LARGE_BATCH:
            results = await loop.run_in_executor(self._pool, score_batch, [request])
            future: asyncio.Future[bytes] = loop.create_future()
            self._record([(request, future)], results)
            return await future
        future = loop.create_future()
        if not self._waiting:
            self._recorder.when_free(self._flush)
        self._waiting.append((request, future))
        self._rows += len(request.customers)
        if self._rows >= _LARGE_BATCH:
            self._flush()
        return await future

    def _flush(self) -> None:
        batch, self._waiting, self._rows = self._waiting, [], 0
        by_model: dict[str, list[_Pending]] = {}
        for pair in batch:
            by_model.setdefault(pair[0].loaded.model_id, []).append(pair)
        for pairs in by_model.values():
            try:
                self._record(pairs, score_batch([request for request, _ in pairs]))
            except Exception as error:  # any error must reach every request of the batch
                for _, future in pairs:
                    _resolve(future, error)

    def _record(self, pairs: list[_Pending], results: list[ScoringResult]) -> None:
        answered = []
        for (request, future), result in zip(pairs, results, strict=True):
            if len(result.answer) > self._most:
                _resolve(future, http.answer_too_large(len(result.answer), self._most))
            else:
                answered.append((request, future, result))

        def done(error: BaseException | None) -> None:
            for request, future, result in answered:
                if error is None and request.recorded:
                    no = len(request.customers) - result.yes
                    self._metrics.count_predictions(request.loaded.model_id, result.yes, no)
                _resolve(future, error or result.answer)

        entries = [result.entry for request, _, result in answered if request.recorded]
        if entries:
            self._recorder.submit(entries, done)
        else:
            done(None)


def score_batch(batch: list[ScoringRequest]) -> list[ScoringResult]:
    """Score requests for the same model in one model call; returns their responses and log entries."""
    artifact = batch[0].loaded.artifact
    table = [row for request in batch for row in rows(request.customers)]
    probabilities = artifact.probabilities(artifact.encoder.encode_rows(table)).tolist()
    ids = _prediction_ids(batch)
    keys = texts(ids)
    results, start = [], 0
    for request in batch:
        end = start + len(request.customers)
        own = ids[start * BYTES : end * BYTES]
        results.append(_result(request, probabilities[start:end], own, keys[start:end]))
        start = end
    return results


def _prediction_ids(batch: list[ScoringRequest]) -> bytes:
    """Return one id per row: random for direct requests, reproducible for requests that the gateway may retry."""
    now, moments, random = time.time_ns() // 1_000_000, [], []
    for request in batch:
        count, attempt = len(request.customers), request.attempt
        size = count * RANDOM_BYTES
        moments.append((now if attempt is None else attempt.at, count))
        random.append(
            os.urandom(size) if attempt is None else attempt.random(request.loaded.model_id, request.body, size)
        )
    return ids_of(moments, b"".join(random))


def _result(request: ScoringRequest, probabilities: list[float], ids: bytes, keys: list[str]) -> ScoringResult:
    threshold, model_id = request.loaded.artifact.threshold, request.loaded.model_id
    predictions = [
        Prediction(customer.id, prediction_id, probability, probability >= threshold)
        for customer, prediction_id, probability in zip(request.customers, keys, probabilities, strict=True)
    ]
    answer = encode(PredictResponse(model_id, request.loaded.is_stale(request.event_time), predictions))
    logged = ScoredRequest(
        request_id=request.request_id,
        client=request.client,
        model_id=model_id,
        threshold=threshold,
        event_time=request.event_time,
        latency_ms=(time.perf_counter() - request.started) * 1000,
        prediction_ids=ids,
        probabilities=probabilities,
        body=request.body,
    )
    yes = sum(prediction.subscribes for prediction in predictions)
    return ScoringResult(answer, encode_entry(logged, len(predictions)), yes)


def _resolve(future: "asyncio.Future[bytes]", result: bytes | BaseException) -> None:
    if future.done():  # the client disconnected
        return
    if isinstance(result, BaseException):
        future.set_exception(result)
    else:
        future.set_result(result)
