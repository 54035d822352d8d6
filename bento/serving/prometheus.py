"""What is counted: requests, their time, predictions by model and decision, the spool; `/metrics` shows it."""

import time
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from deposit.log.spool import SpoolState
from serving.request_counts import RequestCounters

CONTENT_TYPE = CONTENT_TYPE_LATEST
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """Counters of one service process; `traffic` are those that go to PostgreSQL."""

    def __init__(self) -> None:
        self.traffic = RequestCounters()
        self._registry = CollectorRegistry()
        self._requests = Counter("deposit_requests", "requests answered", ["route", "status"], registry=self._registry)
        self._seconds = Histogram(
            "deposit_request_seconds", "seconds to answer", ["route"], buckets=_BUCKETS, registry=self._registry
        )
        self._predictions = Counter(
            "deposit_predictions", "customers scored", ["model", "decision"], registry=self._registry
        )

        self._spool_rows = self._gauge("rows", "rows that wait in the spool for PostgreSQL")
        self._spool_oldest = self._gauge("oldest_seconds", "age of the oldest entry that waits, 0 if none does")
        self._spool_bytes = self._gauge("bytes", "size of the spool's file")
        self._spool_aside = self._gauge("aside_rows", "rows set aside since the database refuses them")
        self._spool_ok = self._gauge("ok", "1 if the spool can be read, else 0, and the other figures are old")
        # a rate over it is the rate of shipping
        self._spool_shipped = self._gauge("shipped_rows_total", "rows shipped since the spool was made")
        # finding a label's child anew costs more than counting
        self._requests_of = cache(self._requests.labels)
        self._seconds_of = cache(self._seconds.labels)
        self._predictions_of = cache(self._predictions.labels)

    def count_request(self, route: str, status: int, client: str, model_id: str, seconds: float) -> None:
        """One answered request; `route` is a known path or `unknown`, `client` and `model_id` may be empty."""
        self._requests_of(route, status).inc()
        self._seconds_of(route).observe(seconds)
        self.traffic.count(route, status, client, model_id, seconds)

    def count_predictions(self, model_id: str, yes: int, no: int) -> None:
        """Predictions of one request."""
        self._predictions_of(model_id, "yes").inc(yes)
        self._predictions_of(model_id, "no").inc(no)

    def set_spool(self, state: SpoolState | None) -> None:
        """What the spool holds now; None if it cannot be read."""
        self._spool_ok.set(state is not None)
        if state is None:
            return
        self._spool_aside.set(state.aside_rows)
        self._spool_rows.set(state.rows)
        self._spool_oldest.set(max(0.0, time.time() - state.oldest_at) if state.oldest_at else 0.0)
        self._spool_bytes.set(state.bytes)
        self._spool_shipped.set(state.shipped_rows)

    def render(self) -> bytes:
        """The Prometheus text."""
        return generate_latest(self._registry)

    def _gauge(self, name: str, meaning: str) -> Gauge:
        return Gauge(f"deposit_spool_{name}", meaning, registry=self._registry)
