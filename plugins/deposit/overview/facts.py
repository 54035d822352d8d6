"""What the overview shows: the champion from MLflow, releases and verdicts from PostgreSQL, reports from the store."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

import httpx

from deposit.database import transaction
from deposit.errors import DataError
from deposit.monitoring import verdicts
from deposit.monitoring.span import span_of
from deposit.monitoring.verdicts import Found
from deposit.release import rows
from deposit.release.rows import Release
from deposit.settings import Settings
from deposit.store import ObjectStore

_RELEASES, _VERDICTS = 20, 36
_SECONDS = 5
_MODEL_ID = re.compile(r"\w[\w.-]{0,99}-v[1-9]\d{0,8}", re.ASCII)


@dataclass(frozen=True)
class Champion:
    """The model that MLflow calls champion, and why it is; `error` if MLflow could not be asked."""

    model_id: str | None
    reason: str = ""
    error: str = ""


@dataclass(frozen=True)
class Overview:
    """Releases and verdicts, the newest first."""

    champion: Champion
    live: Release | None
    releases: Sequence[Release]
    verdicts: Sequence[Found]


def look(settings: Settings) -> Overview:
    """What there is to see now. Raises UpstreamError if PostgreSQL does not answer."""
    with transaction(settings.database) as connection:
        live, history = rows.live(connection), rows.history(connection)
        found = verdicts.newest(connection, _VERDICTS)
    return Overview(champion_of(settings), live, history[:_RELEASES], found)


def champion_of(settings: Settings) -> Champion:
    """The champion; over MLflow's REST API, since its client is too large for who only asks this."""
    name = settings.mlflow.model_name
    url = f"{settings.mlflow.tracking_uri}/api/2.0/mlflow/registered-models/alias"
    try:
        answer = httpx.get(url, params={"name": name, "alias": "champion"}, timeout=_SECONDS, trust_env=False)
        if answer.status_code in (httpx.codes.NOT_FOUND, httpx.codes.BAD_REQUEST) and "error_code" in answer.json():
            return Champion(None)
        answer.raise_for_status()
        version = answer.json()["model_version"]
    except (httpx.HTTPError, ValueError, KeyError) as error:
        return Champion(None, error=f"MLflow does not tell of the champion: {error}")
    tags = {tag["key"]: tag["value"] for tag in version.get("tags", ())}
    decision = json.loads(tags.get("deposit.decision", "{}"))
    reason = decision["reason"] if decision.get("promoted") else "appointed by hand"
    return Champion(f"{name}-v{version['version']}", reason)


def report(settings: Settings, period: str, model_id: str) -> bytes:
    """The HTML of a report. Raises DataError for what can be no report, SourceError or UpstreamError."""
    span = span_of(period)
    if not _MODEL_ID.fullmatch(model_id):
        raise DataError(f"{model_id!r} is no model id: it must look like {settings.mlflow.model_name}-v7")
    return ObjectStore(settings.store).get(settings.store.reports_bucket, verdicts.report_key(span.name, model_id))
