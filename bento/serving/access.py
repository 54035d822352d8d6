"""Who may ask what: API keys, their roles and limits."""

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
    """Who asks; `max_body_bytes` is the key's own limit, beside which the route's counts."""

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
    """Authenticates requests and checks their roles; follows the keys file within a second of its change.

    A secret that holds them is followed within a minute. A damaged or missing keys file never opens the service: the
    keys read last stay good, and where there were none, all are refused.

    Args:
        limits: where the keys are (nowhere: no key is needed), rate and burst.
        clock: seconds that only go up.
        replicas: that share a client's requests, and so its limits.
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
        """The client of a request for which `role` is needed. Raises RequestError 401, 403, 429 or 503."""
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
                503, "the service cannot read its API keys, so it answers nobody; tell its operator", headers=_LATER
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
        for entry in entries:  # all of them, so that the time taken reveals nothing
            if compare_digest(entry.digest, digest):
                owner = entry
        if owner is None:
            raise http_error(401, "this API key is not known, or it was revoked", headers=_CHALLENGE)
        return owner

    def _entries(self, content: bytes) -> _Keys:
        """Checked keys, ready to be compared. Raises ConfigError."""
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
    logger.critical("API KEYS: %s; the keys read before stay good, and if there are none everybody is refused", problem)


class RateLimiter:
    """Each client may ask `burst` times at once and, from then on, at its own rate.

    Args:
        burst: tokens of a full bucket.
        clock: seconds that only go up.
    """

    def __init__(self, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._burst = burst
        self._clock = clock
        self._buckets: dict[str, tuple[float, float]] = {}

    def acquire(self, name: str, rate: float) -> float:
        """Take a token of a client that gets `rate` a second: 0, or the seconds until there is one."""
        now = self._clock()
        tokens, since = self._buckets.get(name, (self._burst, now))
        tokens = min(self._burst, tokens + (now - since) * rate)
        if tokens < 1:
            self._buckets[name] = (tokens, now)
            return (1 - tokens) / rate
        self._buckets[name] = (tokens - 1, now)
        return 0.0

    def keep(self, names: Collection[str]) -> None:
        """Forget all clients but these."""
        self._buckets = {name: bucket for name, bucket in self._buckets.items() if name in names}
