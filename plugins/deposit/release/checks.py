"""What a new service must pass before it gets traffic: ready, a smoke test, parity with the training process."""

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
"""More than a customer takes in a request's body."""
_LOOK_SECONDS = 0.1
_READY_SECONDS, _ANSWER_SECONDS = 2, 30


def most_at_once(serve: ServeSettings) -> int:
    """Customers in one request of the stack's own clients: no more than the service takes."""
    return max(1, min(_BATCH, serve.max_customers, serve.max_body_bytes // _CUSTOMER_BYTES))


def plain_client(address: str) -> httpx.Client:
    """Asks a service at `host:port`, in a network of the stack's own."""
    return httpx.Client(base_url=f"http://{address}", trust_env=False, verify=False)  # noqa: S501 - there is no TLS


def is_ready(client: httpx.Client) -> bool:
    """Whether a service answers that it is ready, within seconds."""
    try:
        return client.get("/readyz", timeout=_READY_SECONDS).status_code == 200
    except httpx.TransportError:
        return False  # not listening, or busy with something else than answers


def answering(client_of: Callable[[str], httpx.Client], addresses: tuple[str, ...]) -> tuple[str, ...]:
    """Those of several replicas that are ready; all if none is, or if there is one alone: who else should answer?"""
    if len(addresses) == 1:
        return addresses
    healthy = []
    for address in addresses:
        with client_of(address) as client:
            if is_ready(client):
                healthy.append(address)
    return tuple(healthy) or addresses


def wait_ready(client: httpx.Client, timeout: float, problem: Callable[[], str | None]) -> None:
    """Wait for /readyz. Raises ReleaseError after `timeout` s, or at once when `problem` tells that it is hopeless."""

    def is_there() -> bool:
        if is_ready(client):
            return True
        reason = problem()
        if reason:
            raise ReleaseError(f"the new service does not start: {reason}")
        return False

    if not wait_until(is_there, timeout, _LOOK_SECONDS):
        raise ReleaseError(f"the new service was not ready after {timeout:g} s: see its log")


def smoke_test(client: httpx.Client, model_id: str, parity: dict[str, Any], key: str | None = None) -> None:
    """A few real rows one by one, and one bad row; `key` is for a service that asks for one. Raises ReleaseError."""
    for row in parity["rows"][:_SMOKE_ROWS]:
        # by no model's id: what answers must be this one of itself, not as one that it could fetch
        _scores(client, model_id, [row], key, pinned=False)
    refused = _post(client, {"customers": [{}]}, key)
    if refused.status_code != 422:
        raise ReleaseError(f"smoke test: an empty customer was answered with {refused.status_code} instead of 422")


def check_parity(
    client: httpx.Client, model_id: str, parity: dict[str, Any], tolerance: float, at_once: int, key: str | None = None
) -> float:
    """The largest difference to the training process's probabilities, asked for `at_once` rows at a time.

    Raises ReleaseError above the tolerance.
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
            f"parity: the service's probabilities differ by up to {worst:.3g} from the training process's, "
            f"allowed is {tolerance:g}: package the model again"
        )
    return worst


def largest_difference(served: list[float], expected: list[float]) -> float:
    """The largest absolute difference; NaN counts as infinite."""
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
        # what is scored for a check must not stand in the log as if a customer had been asked about
        headers = {"X-Dry-Run": "true", **({"Authorization": f"Bearer {key}"} if key else {})}
        return client.post("/predict", json=body, headers=headers, timeout=_ANSWER_SECONDS)
    except httpx.HTTPError as error:
        raise ReleaseError(f"smoke test: POST /predict failed: {error!r}") from error
