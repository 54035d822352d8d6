"""HTTP as handlers see it: requests, responses (`Answer`) and routes."""

import asyncio
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from contextlib import aclosing
from datetime import UTC, datetime
from hashlib import sha256, shake_128
from typing import Any, NamedTuple

from serving.access import ADMIN, Client
from serving.bodies import decompressed, decompressor_of
from serving.problems import RequestError, http_error

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
JSON = b"application/json"
XLSX = b"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_ATTEMPT = b"x-deposit-attempt"
_ATTEMPT_FORM = re.compile(rb"([0-9]{13})-([0-9a-f-]{36})")
_LONGEST_MS = 60_000
"""Maximum age of an attempt: more than sending the body and finding a replica can take."""
_PARAMETER = re.compile(rb';\s*([^\s=;"]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*))')


class Request:
    """A request whose client is authenticated and authorised.

    Args:
        scope: ASGI connection scope.
        receive: ASGI callable that returns the parts of the body.
        request_id: id sent by the client, or generated; included in the response, the log and every spool entry.
        timeout: maximum wait for the next part of the body, in seconds.
    """

    __slots__ = (
        "_pairs", "_receive", "_timeout", "attempt", "client", "headers", "id", "method", "path", "query", "started"
    )  # fmt: skip

    def __init__(
        self, scope: MutableMapping[str, Any], receive: Receive, request_id: bytes, client: Client, timeout: float
    ) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.query: bytes = scope["query_string"]
        self.headers: dict[bytes, bytes] = scope["deposit.headers"]
        self._pairs: list[tuple[bytes, bytes]] = scope["headers"]
        self.attempt: Attempt | None = scope["deposit.attempt"]
        self.id = request_id
        self.client = client
        self.started = time.perf_counter()
        self._receive = receive
        self._timeout = timeout

    async def body(self, limit: int) -> bytes:
        """Return the whole body, decompressed.

        Raises RequestError: 413 above `limit` bytes or the client's own limit; 400, 408 or 415 if it cannot be read.
        """
        parts = [part async for part in self.chunks(limit)]
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def chunks(self, limit: int) -> AsyncIterator[bytes]:
        """Yield the body in non-empty parts as they arrive, decompressed. Raises RequestError as `body` does."""
        limit = min(limit, self.client.max_body_bytes)
        received = self._received(limit)
        if b"content-encoding" not in self.headers:
            return received
        decompressor = decompressor_of(self._pairs)
        return received if decompressor is None else decompressed(received, decompressor, limit)

    async def _received(self, limit: int) -> AsyncIterator[bytes]:
        """Yield the parts of the body as they were sent."""
        declared = self.headers.get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > limit:
            raise _too_large(limit)
        size, more = 0, True
        while more:
            message = await self._next()
            part: bytes = message.get("body", b"")
            size += len(part)
            if size > limit:
                raise _too_large(limit)
            more = message.get("more_body", False)
            if part:
                yield part

    async def _next(self) -> MutableMapping[str, Any]:
        try:
            async with asyncio.timeout(self._timeout):
                message = await self._receive()
        except TimeoutError as error:
            raise http_error(
                408, f"no data of the body arrived for {self._timeout:g} seconds; send it again"
            ) from error
        if message["type"] == "http.disconnect":
            raise http_error(400, "the client disconnected before the body was complete")
        return message


class Answer(NamedTuple):
    """A response: the whole body, or its parts as they are generated; `model_id` names the model that was used."""

    body: bytes | AsyncGenerator[bytes, None]
    content_type: bytes = JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()
    status: int = 200
    model_id: str = ""


Handler = Callable[[Request], Awaitable[Answer]]


class Route(NamedTuple):
    """A route: its method, the role it requires (None for public routes) and its handler."""

    method: str
    role: str | None
    handler: Handler

    @property
    def allowed(self) -> str:
        """Value of the Allow header."""
        return "GET, HEAD" if self.method == "GET" else self.method


def content_type(request: Request) -> bytes:
    """Return the media type of the request's body, in lower case, without parameters."""
    return request.headers.get(b"content-type", b"").split(b";")[0].strip().lower()


def charset_of(request: Request) -> str | None:
    """Return the charset parameter of the Content-Type, in lower case without quotes, or None if there is none."""
    for name, quoted, plain in _PARAMETER.findall(request.headers.get(b"content-type", b"")):
        if name.lower() == b"charset":
            value: bytes = plain or re.sub(rb"\\(.)", rb"\1", quoted)
            return value.decode("latin-1").strip().lower() or None
    return None


def answer_too_large(size: int, limit: int) -> RequestError:
    """Return the error for a response of at least `size` bytes, which is raised before anything is recorded."""
    return http_error(
        413,
        f"the answer would have {size:,} bytes or more, but the limit here is {limit:,}; send fewer customers: "
        "nothing was recorded",
    )


def _too_large(limit: int) -> RequestError:
    return http_error(413, f"the body is larger than {limit} bytes; send fewer customers at a time")


_EVENT_TIME, _DRY_RUN = b"x-event-time", b"x-dry-run"
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)


def event_time_of(request: Request) -> int:
    """Return the event time of a prediction in µs since the epoch: an admin's X-Event-Time, or else the arrival time.

    Raises RequestError 403 or 422.
    """
    header = request.headers.get(_EVENT_TIME)
    if header is None:
        return time.time_ns() // 1000 if request.attempt is None else request.attempt.at * 1000
    _require_admin(request, "X-Event-Time")
    try:
        moment = datetime.fromisoformat(header.decode())
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None or not _EARLIEST <= moment <= datetime.now(UTC):
        raise http_error(422, "must be a past time with its UTC offset, like 2010-05-03T09:30:00Z", "X-Event-Time")
    return int(moment.timestamp() * 1_000_000)


def is_dry_run(request: Request) -> bool:
    """Return whether an admin's X-Dry-Run asks not to log the predictions.

    Raises RequestError 403 or 422.
    """
    if _DRY_RUN not in request.headers:
        return False
    _require_admin(request, "X-Dry-Run")
    if request.headers[_DRY_RUN] != b"true":
        raise http_error(422, "must be true, or omitted", "X-Dry-Run")
    return True


def _require_admin(request: Request, header: str) -> None:
    if ADMIN not in request.client.roles:
        raise http_error(403, f"{header} requires a key with the role admin; omit it", header)


async def whole(parts: AsyncGenerator[bytes, None], most: int) -> bytes:
    """Join all parts of a response. Raises RequestError 413 if they exceed `most` bytes."""
    body = bytearray()
    async with aclosing(parts):
        async for part in parts:
            body += part
            if len(body) > most:
                raise answer_too_large(len(body), most)
    return bytes(body)


class Attempt(NamedTuple):
    """Identity of a request at the gateway, which retries the request if a replica is killed before it responds.

    The killed replica may have recorded its predictions already. A retry therefore gets the same prediction ids and
    event time, so that PostgreSQL stores each prediction once.

    Args:
        at: time at which the request reached the gateway, in milliseconds since the epoch.
        key: idempotency key, unique to the request and the same for its retries.
    """

    at: int
    key: bytes

    def random(self, model_id: str, body: bytes, size: int) -> bytes:
        """Return `size` pseudo-random bytes, determined by the key, the model and the body.

        A client that bypasses the gateway and reuses a key for another request thus cannot hide a prediction.
        """
        # hash the body with SHA-256 first, for which processors have instructions
        return shake_128(b"\0".join((self.key, model_id.encode(), sha256(body).digest()))).digest(size)


def attempt_of(headers: Mapping[bytes, bytes]) -> Attempt | None:
    """Return the identity that the gateway gave to a request, or None if there is none or it is too old."""
    match = _ATTEMPT_FORM.fullmatch(headers.get(_ATTEMPT, b""))
    if match is None:
        return None
    at = int(match[1])
    return Attempt(at, match[2]) if 0 <= time.time_ns() // 1_000_000 - at <= _LONGEST_MS else None
