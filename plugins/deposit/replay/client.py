"""Client for the serving API: scores a month's customers and later reports their outcomes."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import httpx
import pandas as pd

from deposit.data.columns import NAMES
from deposit.data.period import Period
from deposit.errors import ConfigError, UpstreamError
from deposit.release.checks import most_at_once
from deposit.release.gateway import trust
from deposit.settings import Settings

_DELAY = timedelta(days=20)
"""Time from the end of a month to the reported outcomes."""
_SECONDS = 60


class Service:
    """Client for the serving API that sends at most `at_once` customers or outcomes per request."""

    def __init__(self, client: httpx.Client, at_once: int) -> None:
        self._client, self._at_once = client, at_once

    def predict(self, rows: pd.DataFrame, span: Period) -> dict[str, str]:
        """Score every row once, with event times spread over the period; returns prediction ids by customer.

        Raises ConfigError if the API refuses the key, or UpstreamError for any other failure.
        """
        prediction_ids: dict[str, str] = {}
        for number, start in enumerate(range(0, len(rows), self._at_once)):
            batch = rows.iloc[start : start + self._at_once]
            at = span.start + timedelta(days=number % 28, hours=12)
            customers = batch[list(NAMES)].to_dict("records")
            for customer, row_id in zip(customers, batch["id"], strict=True):
                customer["id"] = customer_id(row_id)
            response = self._post("/predict", {"customers": customers}, {"X-Event-Time": at.isoformat()})
            prediction_ids |= {each["id"]: each["prediction_id"] for each in response["predictions"]}
        return prediction_ids

    def report(self, outcomes: Mapping[str, bool], span: Period) -> None:
        """Report the outcomes of predictions, by prediction id."""
        reports = [
            {"prediction_id": prediction_id, "subscribed": subscribed, "at": (span.end + _DELAY).isoformat()}
            for prediction_id, subscribed in outcomes.items()
        ]
        for start in range(0, len(reports), self._at_once):
            self._post("/outcomes", {"outcomes": reports[start : start + self._at_once]}, {})

    def _post(self, path: str, body: Mapping[str, Any], headers: Mapping[str, str]) -> Any:
        try:
            response = self._client.post(path, json=body, headers=dict(headers))
        except httpx.HTTPError as error:
            raise UpstreamError(
                f"the API at {self._client.base_url} does not answer ({error}): is a model live?"
            ) from error
        if response.status_code in (401, 403):
            raise ConfigError(f"the API refuses the replay ({response.text}): set DEPOSIT_API__KEY to an admin's key")
        if response.status_code != httpx.codes.OK:
            raise UpstreamError(f"the API answered {response.status_code} to {path}: {response.text[:300]}")
        return response.json()


@contextmanager
def service(settings: Settings) -> Iterator[Service]:
    """A client for the API in the settings."""
    key = settings.api.key
    headers = {"Authorization": f"Bearer {key.get_secret_value()}"} if key else {}
    url = settings.api.url or settings.gateway_url
    # a configured URL is verified by the authorities that this machine trusts
    verify = trust(settings.gateway, settings.state) if settings.api.url is None else True
    with httpx.Client(base_url=url, headers=headers, timeout=_SECONDS, trust_env=False, verify=verify) as client:
        yield Service(client, most_at_once(settings.serve))


def customer_id(row_id: int) -> str:
    """Customer id for a row of the dataset."""
    return f"row-{row_id}"


def past(span: Period, now: datetime) -> bool:
    """Whether a period and the report of its outcomes are in the past."""
    return span.end + _DELAY < now
