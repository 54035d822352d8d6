"""A month's customers through the running service, and their outcomes, reported later."""

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
"""Outcomes come so long after the month's end."""
_SECONDS = 60


class Service:
    """The API as a client sees it, who asks for so many customers at once."""

    def __init__(self, client: httpx.Client, at_once: int) -> None:
        self._client, self._at_once = client, at_once

    def predict(self, rows: pd.DataFrame, span: Period) -> dict[str, str]:
        """Have every row scored once, spread over the span; prediction ids by customer.

        Raises UpstreamError for anything but an answer.
        """
        answered: dict[str, str] = {}
        for number, start in enumerate(range(0, len(rows), self._at_once)):
            batch = rows.iloc[start : start + self._at_once]
            at = span.start + timedelta(days=number % 28, hours=12)
            customers = batch[list(NAMES)].to_dict("records")
            for customer, row_id in zip(customers, batch["id"], strict=True):
                customer["id"] = customer_id(row_id)
            answer = self._ask("/predict", {"customers": customers}, {"X-Event-Time": at.isoformat()})
            answered |= {each["id"]: each["prediction_id"] for each in answer["predictions"]}
        return answered

    def state(self, outcomes: Mapping[str, bool], span: Period) -> None:
        """Tell what came of predictions, by their ids."""
        stated = [
            {"prediction_id": prediction_id, "subscribed": subscribed, "at": (span.end + _DELAY).isoformat()}
            for prediction_id, subscribed in outcomes.items()
        ]
        for start in range(0, len(stated), self._at_once):
            self._ask("/outcomes", {"outcomes": stated[start : start + self._at_once]}, {})

    def _ask(self, path: str, body: Mapping[str, Any], headers: Mapping[str, str]) -> Any:
        try:
            answer = self._client.post(path, json=body, headers=dict(headers))
        except httpx.HTTPError as error:
            raise UpstreamError(
                f"the API at {self._client.base_url} does not answer ({error}): is a model live?"
            ) from error
        if answer.status_code in (401, 403):
            raise ConfigError(f"the API refuses the replay ({answer.text}): set DEPOSIT_API__KEY to an admin's key")
        if answer.status_code != httpx.codes.OK:
            raise UpstreamError(f"the API answered {answer.status_code} to {path}: {answer.text[:300]}")
        return answer.json()


@contextmanager
def service(settings: Settings) -> Iterator[Service]:
    """The API of these settings."""
    key = settings.api.key
    headers = {"Authorization": f"Bearer {key.get_secret_value()}"} if key else {}
    url = settings.api.url or settings.gateway_url
    # another address is one that the machine's own authorities vouch for
    verify = trust(settings.gateway, settings.state) if settings.api.url is None else True
    with httpx.Client(base_url=url, headers=headers, timeout=_SECONDS, trust_env=False, verify=verify) as client:
        yield Service(client, most_at_once(settings.serve))


def customer_id(row_id: int) -> str:
    """Of a dataset's row."""
    return f"row-{row_id}"


def past(span: Period, now: datetime) -> bool:
    """Whether all of a span, and its outcomes, may be reported by now."""
    return span.end + _DELAY < now
