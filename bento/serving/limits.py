"""Rate limits: one token bucket a client, in this process."""

import time
from collections.abc import Callable, Collection


class Buckets:
    """Each client may ask `burst` times at once and, from then on, at its own rate.

    Args:
        burst: tokens of a full bucket.
        clock: seconds that only go up.
    """

    def __init__(self, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._burst = float(burst)
        self._clock = clock
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, name: str, rate: float) -> float:
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
