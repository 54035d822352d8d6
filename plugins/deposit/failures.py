"""A run of a DAG that failed: kept among the events, and posted to whoever is to be called.

Needs no model library, so that Airflow's environment can import it.
"""

import logging

import httpx
from pydantic import SecretStr

from deposit.database import transaction
from deposit.errors import DepositError
from deposit.events import record_failure
from deposit.sections import DatabaseSettings

logger = logging.getLogger("deposit")

_TIMEOUT_SECONDS = 10.0


def report(database: DatabaseSettings, webhook_url: SecretStr | None, dag: str, run: str, reason: str) -> None:
    """Record a failed run and post it to the webhook, if there is one; neither keeps the other from being tried."""
    try:
        with transaction(database) as connection:
            record_failure(connection, dag, run, reason)
    except DepositError as error:
        logger.error("the failure of %s is not among the events: %s", dag, error)
    if webhook_url is not None:
        _post(webhook_url.get_secret_value(), dag, run, reason)


def _post(url: str, dag: str, run: str, reason: str) -> None:
    """The part of the body of Grafana's webhooks that its receivers read. The address may hold a secret."""
    labels = {"alertname": "DAG failed", "dag": dag, "run": run}
    alert = {"status": "firing", "labels": labels, "annotations": {"summary": reason}}
    body = {"status": "firing", "title": f"DAG failed: {dag}", "message": reason, "alerts": [alert]}
    try:
        httpx.post(url, json=body, timeout=_TIMEOUT_SECONDS).raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        logger.error(
            "the failure of %s cannot be posted to DEPOSIT_MONITOR__WEBHOOK_URL: %s", dag, type(error).__name__
        )
