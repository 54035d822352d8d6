"""The HTTP side: a bare ASGI application, since each layer above it costs a tenth of the throughput."""

import asyncio
import logging
import re
import time
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from serving import metrics as prometheus
from serving.customers import encode
from serving.metrics import Metrics
from serving.openapi import document
from serving.page import PAGE
from serving.predictor import Predictor
from serving.problems import Problem, RequestError, refuse

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Answer = tuple[int, bytes, bytes]

logger = logging.getLogger("deposit.serving")

ROUTES = {"/predict": "POST", "/models": "GET", "/metrics": "GET", "/docs.json": "GET", "/": "GET"}
JSON = b"application/json"
_LARGE_BODY = 64 * 2**10
"""Bodies above this are answered in a thread, so that the event loop goes on with the small ones."""
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")


class Application:
    """Routes, limits, one shape for all errors, a request id on every answer."""

    def __init__(self, max_body_bytes: int, max_customers: int) -> None:
        self.metrics = Metrics()
        self.predictor: Predictor | None = None
        self._max_body_bytes = max_body_bytes
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="large-body")
        self._docs = encode(document(max_customers))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        if scope["type"] != "http":
            return
        started = time.perf_counter()
        headers = dict(scope["headers"])
        request_id = _request_id(headers)
        status, content_type, body = await self._answer(scope, headers, receive, request_id)
        route = scope["path"] if scope["path"] in ROUTES else "unknown"
        self.metrics.count_request(route, status, time.perf_counter() - started)
        out = [
            (b"content-type", content_type),
            (b"content-length", str(len(body)).encode()),
            (b"x-request-id", request_id),
        ]
        if status == 405:
            out.append((b"allow", _allowed(route).encode()))
        await send({"type": "http.response.start", "status": status, "headers": out})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    async def _answer(self, scope: Scope, headers: dict[bytes, bytes], receive: Receive, request_id: bytes) -> Answer:
        try:
            return 200, *await self._dispatch(scope["method"], scope["path"], headers, receive)
        except RequestError as error:
            return error.status, JSON, encode({"detail": error.problems})
        except Exception:
            logger.exception("request %s failed: %s %s", request_id.decode(), scope["method"], scope["path"])
            problem = Problem(None, None, f"the service failed; tell its operator request id {request_id.decode()}")
            return 500, JSON, encode({"detail": [problem]})

    async def _dispatch(
        self, method: str, path: str, headers: dict[bytes, bytes], receive: Receive
    ) -> tuple[bytes, bytes]:
        if path not in ROUTES:
            raise refuse(404, f"there is no such path here; try {', '.join(ROUTES)}")
        if method != ROUTES[path] and not (method == "HEAD" and ROUTES[path] == "GET"):
            raise refuse(405, f"{method} is not allowed here; use {_allowed(path)}")
        if path == "/predict":
            return JSON, await self._predict(headers, receive)
        if path == "/models":
            return JSON, self._ready().models()
        if path == "/metrics":
            return prometheus.CONTENT_TYPE.encode(), self.metrics.render()
        return (JSON, self._docs) if path == "/docs.json" else (b"text/html; charset=utf-8", PAGE)

    async def _predict(self, headers: dict[bytes, bytes], receive: Receive) -> bytes:
        content_type = headers.get(b"content-type", b"").split(b";")[0].strip().lower()
        if content_type != JSON:
            raise refuse(415, "send the body as Content-Type: application/json")
        body = await self._body(headers, receive)
        predictor = self._ready()
        if len(body) <= _LARGE_BODY:
            return predictor.predict(body)
        return await asyncio.get_running_loop().run_in_executor(self._pool, predictor.predict, body)

    async def _body(self, headers: dict[bytes, bytes], receive: Receive) -> bytes:
        declared = headers.get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > self._max_body_bytes:
            raise self._too_large()
        parts: list[bytes] = []
        size, more = 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise refuse(400, "the client went away before the body was complete")
            part = message.get("body", b"")
            size += len(part)
            if size > self._max_body_bytes:
                raise self._too_large()
            parts.append(part)
            more = message.get("more_body", False)
        return b"".join(parts)

    def _too_large(self) -> RequestError:
        return refuse(413, f"the body is larger than {self._max_body_bytes} bytes; send fewer customers at a time")

    def _ready(self) -> Predictor:
        if self.predictor is None:
            raise refuse(503, "the model is still being loaded; try again in a moment")
        return self.predictor


def _allowed(path: str) -> str:
    return "GET, HEAD" if ROUTES.get(path) == "GET" else "POST"


def _request_id(headers: dict[bytes, bytes]) -> bytes:
    given = headers.get(b"x-request-id", b"")
    return given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex.encode()
