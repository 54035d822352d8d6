"""The registered models as MLflow's REST API tells them, since its client is too large for these two questions."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from deposit.errors import UpstreamError
from deposit.model.worth import Worth, worths_of
from deposit.registry.tags import GateOutcome, Tag
from deposit.selection.decision import champion_reason, parse_decision
from deposit.settings import Settings

_SECONDS = 5
_NEWEST = 20
_ABSENT = (httpx.codes.NOT_FOUND, httpx.codes.BAD_REQUEST)
"""What MLflow answers where there is no such model, or none with the alias."""


@dataclass(frozen=True)
class MonthlyEstimate:
    """A figure and the interval that months give it."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Contender:
    """A registered model.

    Args:
        model_id: like deposit-v7.
        outcome: of the gate; None of one that no gate has judged.
        reason: why it is champion, or what became of it.
        worths: what its recipe earned in months that it had not seen: with any number of calls, and at capacity.
        roc_auc: mean of these months; None of a model from before it was measured.
    """

    model_id: str
    outcome: GateOutcome | None = None
    reason: str = ""
    worths: tuple[Worth, ...] = ()
    roc_auc: MonthlyEstimate | None = None


@dataclass(frozen=True)
class Contenders:
    """The champion, if there is one, and the newest models, the newest first."""

    champion: Contender | None
    newest: tuple[Contender, ...] = ()


def read_contenders(settings: Settings) -> Contenders:
    """As MLflow has them now. Raises UpstreamError if it does not answer."""
    name, url = settings.mlflow.model_name, settings.mlflow.tracking_uri
    with httpx.Client(base_url=f"{url}/api/2.0/mlflow", timeout=_SECONDS, trust_env=False) as client:
        try:
            held = _answer(client, "registered-models/alias", {"name": name, "alias": "champion"})
            query = {"filter": f"name = '{name}'", "max_results": _NEWEST, "order_by": "version_number DESC"}
            listed = _answer(client, "model-versions/search", query)
            newest = tuple(_contender(version) for version in listed.get("model_versions", ()))
            return Contenders(_contender(held["model_version"]) if held else None, newest)
        except (httpx.HTTPError, ValueError, KeyError) as error:
            reason = str(error) or type(error).__name__
            raise UpstreamError(f"MLflow does not say who is champion, at {url}: {reason}") from error


def _answer(client: httpx.Client, path: str, query: Mapping[str, Any]) -> Any:
    """The answer; an empty one where there is no such thing."""
    answer = client.get(path, params=dict(query))
    if answer.status_code in _ABSENT and "error_code" in answer.json():
        return {}
    return answer.raise_for_status().json()


def _contender(version: Mapping[str, Any]) -> Contender:
    tags = {tag["key"]: tag["value"] for tag in version.get("tags", ())}
    model_id = f"{version['name']}-v{version['version']}"
    metrics = json.loads(tags.get(Tag.METRICS, "{}"))
    gate = tags.get(Tag.GATE)
    return Contender(
        model_id,
        GateOutcome(gate) if gate else None,
        champion_reason(model_id, parse_decision(tags.get(Tag.DECISION))),
        tuple(worths_of(metrics, {}, "_month")),
        _estimate(metrics, "roc_auc_month_mean"),
    )


def _estimate(metrics: Mapping[str, float], name: str) -> MonthlyEstimate | None:
    bounds = [metrics.get(f"{name}{end}") for end in ("", "_month_low", "_month_high")]
    value, low, high = bounds
    return None if value is None or low is None or high is None else MonthlyEstimate(value, low, high)
