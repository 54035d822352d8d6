"""A request that the gateway sends again, since the service that had it was killed before it answered.

That service may have recorded its predictions already. So the gateway names a request, and what is asked under one name
gets the same ids at the same time: in PostgreSQL both are one.
"""

import re
import time
from collections.abc import Mapping
from hashlib import sha256, shake_128
from typing import NamedTuple

_HEADER = b"x-deposit-attempt"
_FORM = re.compile(rb"([0-9]{13})-([0-9a-f-]{36})")
_LONGEST_MS = 60_000
"""More than a client may take to send a body and the gateway to find a service."""


class Attempt(NamedTuple):
    """The name that the gateway gave to a request.

    Args:
        at: when it came to the gateway, milliseconds since the epoch.
        key: nobody else's.
    """

    at: int
    key: bytes

    def random(self, model_id: str, body: bytes, size: int) -> bytes:
        """As many bytes as are wanted, the same ones for the same body and model alone.

        So whoever reaches a service past the gateway and names two requests alike hides nothing.
        """
        # the body by its digest, which processors have instructions for
        return shake_128(b"\0".join((self.key, model_id.encode(), sha256(body).digest()))).digest(size)


def attempt_of(headers: Mapping[bytes, bytes]) -> Attempt | None:
    """The gateway's name of a request; None if it did not give one, or not just now."""
    match = _FORM.fullmatch(headers.get(_HEADER, b""))
    if match is None:
        return None
    at = int(match[1])
    return Attempt(at, match[2]) if 0 <= time.time_ns() // 1_000_000 - at <= _LONGEST_MS else None
