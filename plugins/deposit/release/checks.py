"""Checks that a new service must pass before it gets traffic: readiness, a smoke test, and prediction parity."""

import math
from collections.abc import Callable
from typing import Any

import httpx

from deposit.data.columns import NAMES
from deposit.errors import ReleaseError
from deposit.sections import ServeSettings
from deposit.waiting import wait_until

_SMOKE_ROWS = 3
_BATCH = 500
_CUSTOMER_BYTES = 1024
"""Upper bound for the size of one customer in the body of a request."""
_POLL_SECONDS = 0.1
_READY_TIMEOUT, _PREDICT_TIMEOUT = 2, 30


def most_at_once(serve: ServeSettings) -> int:
    """Return the batch size for the stack's own clients: customers per request, within the limits of the service."""
    return max(1, min(_BATCH, serve.max_customers, serve.max_body_bytes // _CUSTOMER_BYTES))


def plain_client(address: str) -> httpx.Client:
    """Return a client for a service at `host:port`, in the stack's own network."""
    return httpx.Client(base_url=f"http://{address}", trust_env=False, verify=False)  # noqa: S501 - there is no TLS


def is_ready(client: httpx.Client) -> bool:
    """Whether `/readyz` answers 200 within two seconds."""
    try:
        return client.get("/readyz", timeout=_READY_TIMEOUT).status_code == 200
    except httpx.TransportError:
        return False  # not listening, or too busy to answer


def answering(client_of: Callable[[str], httpx.Client], addresses: tuple[str, ...]) -> tuple[str, ...]:
    """Return the replicas that are ready, or all of them if none is. A single replica is returned without a check."""
    if len(addresses) == 1:
        return addresses
    healthy = []
    for address in addresses:
        with client_of(address) as client:
            if is_ready(client):
                healthy.append(address)
    return tuple(healthy) or addresses


def wait_ready(client: httpx.Client, timeout: float, problem: Callable[[], str | None]) -> None:
    """Wait for /readyz. Raises ReleaseError after `timeout` s, or as soon as `problem` returns a permanent failure."""

    def is_up() -> bool:
        if is_ready(client):
            return True
        reason = problem()
        if reason:
            raise ReleaseError(f"the new service does not start: {reason}")
        return False

    if not wait_until(is_up, timeout, _POLL_SECONDS):
        raise ReleaseError(f"the new service was not ready after {timeout:g} s: see its log")


def smoke_test(client: httpx.Client, model_id: str, parity: dict[str, Any], key: str | None = None) -> None:
    """Send a few real rows one by one, and an invalid one. Raises ReleaseError.

    Args:
        client: client of the service.
        model_id: model that must answer.
        parity: content of `parity.json`.
        key: API key, if the service requires one.
    """
    for row in parity["rows"][:_SMOKE_ROWS]:
        # without a model id, so that the baked-in model answers and not one loaded from the object store
        _scores(client, model_id, [row], key, pinned=False)
    refused = _post(client, {"customers": [{}]}, key)
    if refused.status_code != 422:
        raise ReleaseError(f"smoke test: an empty customer was answered with {refused.status_code} instead of 422")


def check_parity(
    client: httpx.Client, model_id: str, parity: dict[str, Any], tolerance: float, at_once: int, key: str | None = None
) -> float:
    """Return the largest difference between the probabilities of the service and of training.

    Rows are sent in batches of `at_once`. Raises ReleaseError if the difference exceeds the tolerance.
    """
    rows, expected = parity["rows"], parity["probabilities"]
    if not rows or len(rows) != len(expected):
        raise ReleaseError(f"parity.json is broken: {len(rows)} rows and {len(expected)} probabilities")
    served: list[float] = []
    for start in range(0, len(rows), at_once):
        served += _scores(client, model_id, rows[start : start + at_once], key)
    worst = largest_difference(served, expected)
    if not worst <= tolerance:
        raise ReleaseError(
            f"parity: the probabilities of the service differ by up to {worst:.3g} from those of training, "
            f"more than the tolerance of {tolerance:g}: package the model again"
        )
    return worst


def largest_difference(served: list[float], expected: list[float]) -> float:
    """Return the largest absolute difference; NaN counts as infinite."""
    differences = [abs(one - other) for one, other in zip(served, expected, strict=True)]
    return math.inf if any(math.isnan(difference) for difference in differences) else max(differences)


def _scores(
    client: httpx.Client, model_id: str, rows: list[list[Any]], key: str | None, pinned: bool = True
) -> list[float]:
    customers = [dict(zip(NAMES, row, strict=True)) for row in rows]
    response = _post(client, {"customers": customers, **({"model": model_id} if pinned else {})}, key)
    if response.status_code != 200:
        raise ReleaseError(f"smoke test: POST /predict gave {response.status_code}: {response.text[:200]}")
    answer = response.json()
    if answer["model"] != model_id:
        raise ReleaseError(f"smoke test: {answer['model']} answers instead of {model_id}")
    return [float(prediction["probability"]) for prediction in answer["predictions"]]


def _post(client: httpx.Client, body: dict[str, Any], key: str | None) -> httpx.Response:
    try:
        # a dry run: rows of a check must not be logged as predictions for real customers
        headers = {"X-Dry-Run": "true", **({"Authorization": f"Bearer {key}"} if key else {})}
        return client.post("/predict", json=body, headers=headers, timeout=_PREDICT_TIMEOUT)
    except httpx.HTTPError as error:
        raise ReleaseError(f"smoke test: POST /predict failed: {error!r}") from error
