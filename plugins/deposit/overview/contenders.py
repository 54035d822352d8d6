"""The champion and the newest registered models with their gate results, read from MLflow's REST API."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from deposit.errors import UpstreamError
from deposit.model.worth import Worth, worths_of
from deposit.registry.mlflow_api import ABSENT, FAILURES, Pair, ask, by_key
from deposit.registry.tags import GateOutcome, Tag
from deposit.registry.versions import CHAMPION
from deposit.sections import MlflowSettings
from deposit.selection.decision import champion_reason, parse_decision

_TIMEOUT = 5
_NEWEST = 20
_ABSENT = frozenset({ABSENT, "INVALID_PARAMETER_VALUE"})
"""MLflow's error codes if the registered model or the alias does not exist."""


@dataclass(frozen=True)
class MonthlyEstimate:
    """A metric and its confidence interval, estimated from months."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Contender:
    """A registered model.

    Args:
        model_id: ID like deposit-v7.
        outcome: result of the gate; None if the model was not evaluated by one.
        reason: why it is champion; meaningful for the champion only.
        worths: profit of its recipe in out-of-time months, with unlimited calls and at capacity.
        roc_auc: mean ROC AUC of these months; None for a model from before it was recorded.
    """

    model_id: str
    outcome: GateOutcome | None = None
    reason: str = ""
    worths: tuple[Worth, ...] = ()
    roc_auc: MonthlyEstimate | None = None


@dataclass(frozen=True)
class Contenders:
    """The champion, if there is one, and the newest models, newest first."""

    champion: Contender | None
    newest: tuple[Contender, ...] = ()


class _ModelVersion(msgspec.Struct, frozen=True):
    version: int
    tags: tuple[Pair, ...] = ()


class _Alias(msgspec.Struct, frozen=True):
    model_version: _ModelVersion


class _Listing(msgspec.Struct, frozen=True):
    model_versions: tuple[_ModelVersion, ...] = ()


def read_contenders(mlflow: MlflowSettings) -> Contenders:
    """Read the champion and the newest models from MLflow. Raises UpstreamError if it does not answer."""
    name, uri = mlflow.model_name, mlflow.tracking_uri
    newest = {"filter": f"name = '{name}'", "max_results": str(_NEWEST), "order_by": "version_number DESC"}
    try:
        champion = ask(uri, "registered-models/alias", {"name": name, "alias": CHAMPION}, _Alias, _ABSENT, _TIMEOUT)
        listing = ask(uri, "model-versions/search", newest, _Listing, _ABSENT, _TIMEOUT) or _Listing()
        return Contenders(
            _contender(name, champion.model_version) if champion else None,
            tuple(_contender(name, each) for each in listing.model_versions),
        )
    except (*FAILURES, ValueError) as error:
        reason = str(error) or type(error).__name__
        raise UpstreamError(f"cannot read the champion from MLflow at {uri}: {reason}") from error


def _contender(name: str, version: _ModelVersion) -> Contender:
    tags, model_id = by_key(version.tags), f"{name}-v{version.version}"
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
