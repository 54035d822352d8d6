"""The HTTP side: a bare ASGI application, since each layer above it costs a tenth of the throughput."""

import logging
import os
import re
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextlib import aclosing
from typing import Any

from serving.access import Access
from serving.customers import encode
from serving.http import JSON, Answer, Receive, Request, Route
from serving.metrics import Metrics
from serving.problems import Problem, RequestError, refuse

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

logger = logging.getLogger("deposit.serving")

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")


class Application:
    """Routes, access, one shape for all errors, a request id on every answer.

    `routes` is filled once the model is loaded; until then every path answers 503.
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
        request_id = _request_id(headers)
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
        """The answer, and the name of who gets it; empty if that is not known."""
        name = ""
        try:
            route = self._route(scope["method"], scope["path"])
            client = self._access.authorise(headers, route.role)
            name = client.name
            return await route.handler(Request(scope, receive, request_id, client, self._body_timeout)), name
        except RequestError as error:
            return Answer(encode({"detail": error.problems}), JSON, error.headers, error.status), error.client or name
        except Exception:
            logger.exception("request %s failed: %s %s", request_id.decode(), scope["method"], scope["path"])
            problem = Problem(None, None, f"the service failed; tell its operator request id {request_id.decode()}")
            return Answer(encode({"detail": [problem]}), JSON, (), 500), name

    def _route(self, method: str, path: str) -> Route:
        if not self.routes:
            raise refuse(503, "the model is still being loaded; try again in a moment")
        route = self.routes.get(path)
        if route is None:
            known = ", ".join(path for path in self.routes if not path.startswith("/assets/"))
            raise refuse(404, f"there is no such path here; try {known}")
        if method != route.method and not (method == "HEAD" and route.method == "GET"):
            allow = ((b"allow", route.allowed.encode()),)
            raise refuse(405, f"{method} is not allowed here; use {route.allowed}", headers=allow)
        return route


async def _send(answer: Answer, request_id: bytes, head: bool, send: Send) -> None:
    headers = [(b"content-type", answer.content_type), (b"x-request-id", request_id), *answer.headers]
    body = answer.body
    start = {"type": "http.response.start", "status": answer.status, "headers": headers}
    if isinstance(body, bytes):
        if answer.status != 304:  # whose length would be that of the body it spares
            headers.append((b"content-length", str(len(body)).encode()))
        await send(start)
        await send({"type": "http.response.body", "body": b"" if head else body})
        return
    async with aclosing(body):
        await send(start)
        async for part in body:
            await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def _request_id(headers: dict[bytes, bytes]) -> bytes:
    given = headers.get(b"x-request-id", b"")
    return given if _REQUEST_ID.fullmatch(given) else os.urandom(16).hex().encode()
