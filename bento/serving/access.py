"""Authentication and authorisation: API keys, their roles and rate limits."""

import logging
import math
import re
import sys
import time
from collections.abc import Callable, Collection
from hashlib import sha256
from hmac import compare_digest
from typing import NamedTuple

from deposit.keys import ADMIN, ANONYMOUS, OUTCOMES, PREDICT, RELEASER, ROLES, parse
from deposit.sections import ServeSettings
from serving.documents import Reloading, keys_document
from serving.problems import http_error

__all__ = ["ADMIN", "OUTCOMES", "PREDICT", "Access", "Client"]

logger = logging.getLogger("deposit.serving")

_ALL_ROLES = frozenset(ROLES)
_NO_LIMIT = sys.maxsize
_BEARER = re.compile(rb"bearer +([\x21-\x7e]{1,256}) *", re.IGNORECASE)
_CHALLENGE = ((b"www-authenticate", b"Bearer"),)
_LATER = ((b"retry-after", b"5"),)


class Client(NamedTuple):
    """The client of a request; `max_body_bytes` is the key's own limit, which applies in addition to the route's."""

    name: str
    roles: frozenset[str]
    max_body_bytes: int


class _Entry(NamedTuple):
    digest: bytes
    client: Client
    rate: float


class _Keys(NamedTuple):
    open: bool
    entries: tuple[_Entry, ...]


_NOBODY = Client(ANONYMOUS, frozenset(), _NO_LIMIT)
_ANYBODY = Client(ANONYMOUS, _ALL_ROLES, _NO_LIMIT)


class Access:
    """Authenticates requests and checks their roles, with keys that are reloaded while the service runs.

    A change of the keys file takes effect within a second, a change of a secret within a minute. A damaged or missing
    keys file never opens the service: the keys that were loaded last stay valid, and if none were ever loaded, all
    requests are rejected.

    Args:
        limits: location of the keys (if there is none, no key is needed), rate and burst.
        clock: monotonic clock, in seconds.
        replicas: number of replicas that share a client's requests, and therefore its rate limit.
    """

    def __init__(self, limits: ServeSettings, clock: Callable[[], float] = time.monotonic, replicas: int = 1) -> None:
        self._rate = limits.rate_per_second
        self._replicas = replicas
        self._limiter = RateLimiter(max(1.0, limits.burst / replicas), clock)
        self._anonymous = _Entry(b"", _ANYBODY, self._rate)
        self._releaser = _releaser(limits.releaser_key_sha256)
        document = keys_document(limits)
        self._keys = None if document is None else Reloading(document, self._entries, _log_problem, clock)

    def authorise(self, headers: dict[bytes, bytes], role: str | None) -> Client:
        """Return the client of a request that requires `role`. Raises RequestError 401, 403, 429 or 503."""
        if role is None:
            return _NOBODY
        entry = self._entry(headers)
        name = entry.client.name
        if role not in entry.client.roles:
            raise http_error(403, f"the key {name} lacks the role {role}: use one that has it", client=name)
        if entry.rate and (wait := self._limiter.acquire(name, entry.rate / self._replicas)):
            seconds = math.ceil(wait)
            message = f"too many requests: {name} may send {entry.rate:g} a second; try again in {seconds} s"
            raise http_error(429, message, headers=((b"retry-after", b"%d" % seconds),), client=name)
        return entry.client

    def _entry(self, headers: dict[bytes, bytes]) -> _Entry:
        if self._keys is None:
            return self._anonymous
        keys = self._keys.value()
        if keys is None or (keys.open and not self._keys.is_valid):
            raise http_error(
                503, "the service cannot read its API keys and rejects all requests; tell its operator", headers=_LATER
            )
        return self._anonymous if keys.open else self._authenticate(headers.get(b"authorization"), keys.entries)

    def _authenticate(self, header: bytes | None, entries: tuple[_Entry, ...]) -> _Entry:
        if header is None:
            raise http_error(
                401, "an API key is needed: send the header Authorization: Bearer <key>", headers=_CHALLENGE
            )
        match = _BEARER.fullmatch(header)
        if match is None:
            raise http_error(401, "the header Authorization must be: Bearer <key>", headers=_CHALLENGE)
        digest = sha256(match[1]).digest()
        owner: _Entry | None = None
        for entry in entries:  # compare all of them, so that the duration reveals nothing
            if compare_digest(entry.digest, digest):
                owner = entry
        if owner is None:
            raise http_error(401, "this API key is not known, or it was revoked", headers=_CHALLENGE)
        return owner

    def _entries(self, content: bytes) -> _Keys:
        """Parse and validate a keys file. Raises ConfigError."""
        file = parse(content)
        entries = [
            _Entry(
                bytes.fromhex(key.sha256),
                Client(
                    key.name,
                    _ALL_ROLES if ADMIN in key.roles else frozenset(key.roles),
                    _NO_LIMIT if key.max_body_bytes is None else key.max_body_bytes,
                ),
                self._rate if key.rate_per_second is None else key.rate_per_second,
            )
            for key in file.keys
        ]
        self._limiter.keep({ANONYMOUS, *(key.name for key in file.keys)})
        return _Keys(file.open, (*entries, *self._releaser))


def _releaser(key_sha256: str | None) -> tuple[_Entry, ...]:
    if key_sha256 is None:
        return ()
    return (_Entry(bytes.fromhex(key_sha256), Client(RELEASER, _ALL_ROLES, _NO_LIMIT), 0.0),)


def _log_problem(problem: str) -> None:
    logger.critical("API KEYS: %s; keys loaded before stay valid, without any every request is rejected", problem)


class RateLimiter:
    """Token bucket per client: `burst` requests at once, then requests at the client's own rate.

    Args:
        burst: number of tokens in a full bucket.
        clock: monotonic clock, in seconds.
    """

    def __init__(self, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._burst = burst
        self._clock = clock
        self._buckets: dict[str, tuple[float, float]] = {}

    def acquire(self, name: str, rate: float) -> float:
        """Take one token from a client's bucket, which refills at `rate` tokens per second.

        Returns 0, or the seconds until a token is available.
        """
        now = self._clock()
        tokens, since = self._buckets.get(name, (self._burst, now))
        tokens = min(self._burst, tokens + (now - since) * rate)
        if tokens < 1:
            self._buckets[name] = (tokens, now)
            return (1 - tokens) / rate
        self._buckets[name] = (tokens - 1, now)
        return 0.0

    def keep(self, names: Collection[str]) -> None:
        """Drop the buckets of all clients except these."""
        self._buckets = {name: bucket for name, bucket in self._buckets.items() if name in names}
