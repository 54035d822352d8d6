"""The HTTP layer: a plain ASGI application, because each framework layer above it costs a tenth of the throughput."""

import asyncio
import logging
import os
import re
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextlib import aclosing
from typing import Any

from deposit.errors import LogError
from deposit.log.destination import PredictionLog
from deposit.settings import Settings
from serving.access import ADMIN, OUTCOMES, PREDICT, Access
from serving.http import JSON, Answer, Attempt, Receive, Request, Route, attempt_of
from serving.models import ModelCache
from serving.openapi import document
from serving.outcome_reports import Outcomes
from serving.page import card_page, pages
from serving.predict import MicroBatcher, Predict
from serving.problems import Error, Problem, RequestError, http_error
from serving.ranking import Ranking, Workbooks
from serving.recorder import Recorder
from serving.request_counts import CONTENT_TYPE, Metrics
from serving.request_schemas import encode

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

logger = logging.getLogger("deposit.serving")

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")


class Application:
    """Routes and authorises requests, formats all errors the same way, and sets a request id on every response.

    `routes` is filled once the model is loaded; until then every path returns 503.
    """

    def __init__(self, access: Access, metrics: Metrics, body_timeout: float) -> None:
        self.routes: Mapping[str, Route] = {}
        self._access = access
        self._metrics = metrics
        self._body_timeout = body_timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        if scope["type"] != "http":
            return
        started = time.perf_counter()
        scope["deposit.headers"] = headers = dict(scope["headers"])
        scope["deposit.attempt"] = attempt = attempt_of(headers)
        request_id = _request_id(headers, attempt)
        answer, client = await self._answer(scope, headers, receive, request_id)
        try:
            await _send(answer, request_id, scope["method"] == "HEAD", send)
        finally:
            path = scope["path"]
            route = "/assets" if path.startswith("/assets/") else path if path in self.routes else "unknown"
            seconds = time.perf_counter() - started
            self._metrics.count_request(route, answer.status, client, answer.model_id, seconds)

    async def _answer(
        self, scope: Scope, headers: dict[bytes, bytes], receive: Receive, request_id: bytes
    ) -> tuple[Answer, str]:
        """Return the response and the client's name, which is empty if the client is unknown."""
        name = ""
        try:
            route = self._route(scope["method"], scope["path"])
            client = self._access.authorise(headers, route.role)
            name = client.name
            return await route.handler(Request(scope, receive, request_id, client, self._body_timeout)), name
        except RequestError as error:
            return Answer(encode(Error(error.problems)), JSON, error.headers, error.status), error.client or name
        except Exception:
            logger.exception("request %s failed: %s %s", request_id.decode(), scope["method"], scope["path"])
            problem = Problem(
                None, None, f"internal error; tell the service's operator request id {request_id.decode()}"
            )
            return Answer(encode(Error([problem])), JSON, (), 500), name

    def _route(self, method: str, path: str) -> Route:
        if not self.routes:
            raise http_error(503, "the model is still being loaded; try again in a moment")
        route = self.routes.get(path)
        if route is None:
            paths = ", ".join(path for path in self.routes if not path.startswith("/assets/"))
            raise http_error(404, f"unknown path; try {paths}")
        if method != route.method and not (method == "HEAD" and route.method == "GET"):
            allow = ((b"allow", route.allowed.encode()),)
            raise http_error(405, f"{method} is not allowed here; use {route.allowed}", headers=allow)
        return route


async def _send(answer: Answer, request_id: bytes, head: bool, send: Send) -> None:
    headers = [(b"content-type", answer.content_type), (b"x-request-id", request_id), *answer.headers]
    body = answer.body
    start = {"type": "http.response.start", "status": answer.status, "headers": headers}
    if isinstance(body, bytes):
        if answer.status != 304:  # its content-length would be that of the omitted body
            headers.append((b"content-length", str(len(body)).encode()))
        await send(start)
        await send({"type": "http.response.body", "body": b"" if head else body})
        return
    async with aclosing(body):
        await send(start)
        async for part in body:
            await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def _request_id(headers: dict[bytes, bytes], attempt: Attempt | None) -> bytes:
    header = headers.get(b"x-request-id", b"")
    if _REQUEST_ID.fullmatch(header):
        return header
    return os.urandom(16).hex().encode() if attempt is None else attempt.key.replace(b"-", b"")


def routes(settings: Settings, models: ModelCache, log: PredictionLog, metrics: Metrics) -> Mapping[str, Route]:
    """Return the routes of all paths, once the model is loaded."""
    recorder = Recorder(log)
    batcher = MicroBatcher(recorder, metrics, settings.serve.max_answer_bytes)
    serve, folder = settings.serve, settings.state.uploads
    workbooks = Workbooks(serve, folder)
    ranking = Ranking(models, recorder, metrics, serve, settings.economics, folder, workbooks)
    docs = encode(document(settings.serve.max_customers))

    async def show_models(_: Request) -> Answer:
        return Answer(models.listing())

    async def show_metrics(_: Request) -> Answer:
        try:
            metrics.set_spool(await asyncio.to_thread(log.state))
        except LogError:
            metrics.set_spool(None)
        return Answer(metrics.render(), CONTENT_TYPE)

    async def show_health(_: Request) -> Answer:
        return Answer(b"\n", b"text/plain")

    async def show_docs(_: Request) -> Answer:
        return Answer(docs)

    return {
        "/predict": Route("POST", PREDICT, Predict(models, batcher, settings.serve)),
        "/rank": Route("POST", PREDICT, ranking),
        "/workbook": Route("POST", PREDICT, workbooks),
        "/outcomes": Route("POST", OUTCOMES, Outcomes(recorder, settings.serve)),
        "/models": Route("GET", PREDICT, show_models),
        "/card": Route("GET", PREDICT, card_page(models.served)),
        "/metrics": Route("GET", ADMIN, show_metrics),
        "/docs.json": Route("GET", None, show_docs),
        "/livez": Route("GET", None, show_health),
        "/readyz": Route("GET", None, show_health),
        **{path: Route("GET", None, page) for path, page in pages(models.served.card).items()},
    }
