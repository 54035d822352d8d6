"""Identifiers that sort by time and need nobody to be asked: UUID version 7 (RFC 9562, section 5.7)."""

import os
import time

import numpy as np

BYTES = 16
_TIME_BYTES = 6


def new_ids(count: int) -> bytes:
    """`count` identifiers, 16 bytes each: 48 bits of milliseconds, the rest random but for version and variant."""
    milliseconds = (time.time_ns() // 1_000_000).to_bytes(_TIME_BYTES + 2, "big")[2:]
    ids = np.empty((count, BYTES), np.uint8)
    ids[:, :_TIME_BYTES] = np.frombuffer(milliseconds, np.uint8)
    random = os.urandom((BYTES - _TIME_BYTES) * count)
    ids[:, _TIME_BYTES:] = np.frombuffer(random, np.uint8).reshape(count, BYTES - _TIME_BYTES)
    ids[:, 6] = ids[:, 6] & 0x0F | 0x70
    ids[:, 8] = ids[:, 8] & 0x3F | 0x80
    return ids.tobytes()


def texts(ids: bytes) -> list[str]:
    """The identifiers in their usual form, lower case with dashes."""
    digits = ids.hex()
    starts = range(0, len(digits), 2 * BYTES)
    return [
        f"{digits[at : at + 8]}-{digits[at + 8 : at + 12]}-{digits[at + 12 : at + 16]}"
        f"-{digits[at + 16 : at + 20]}-{digits[at + 20 : at + 32]}"
        for at in starts
    ]
