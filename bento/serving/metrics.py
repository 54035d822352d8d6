"""What `/metrics` shows: requests, their time, predictions by model and decision."""

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

CONTENT_TYPE = CONTENT_TYPE_LATEST
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """Counters of one service process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter("deposit_requests", "requests answered", ["route", "status"], registry=self._registry)
        self._seconds = Histogram(
            "deposit_request_seconds", "seconds to answer", ["route"], buckets=_BUCKETS, registry=self._registry
        )
        self._predictions = Counter(
            "deposit_predictions", "customers scored", ["model", "decision"], registry=self._registry
        )

    def count_request(self, route: str, status: int, seconds: float) -> None:
        """One answered request; `route` is a known path or `unknown`."""
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def count_predictions(self, model_id: str, yes: int, no: int) -> None:
        """Predictions of one request."""
        self._predictions.labels(model_id, "yes").inc(yes)
        self._predictions.labels(model_id, "no").inc(no)

    def render(self) -> bytes:
        """The Prometheus text."""
        return generate_latest(self._registry)
