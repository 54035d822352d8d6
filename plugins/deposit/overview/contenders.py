"""The champion and the newest registered models, with what became of them, as MLflow's REST API lists them."""

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

_SECONDS = 5
_NEWEST = 20
_NONE = frozenset({ABSENT, "INVALID_PARAMETER_VALUE"})
"""MLflow's codes where there is no such model, or none with the alias."""


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


class _ModelVersion(msgspec.Struct, frozen=True):
    version: int
    tags: tuple[Pair, ...] = ()


class _Holder(msgspec.Struct, frozen=True):
    model_version: _ModelVersion


class _Listing(msgspec.Struct, frozen=True):
    model_versions: tuple[_ModelVersion, ...] = ()


def read_contenders(mlflow: MlflowSettings) -> Contenders:
    """As MLflow has them now. Raises UpstreamError if it does not answer."""
    name, uri = mlflow.model_name, mlflow.tracking_uri
    newest = {"filter": f"name = '{name}'", "max_results": str(_NEWEST), "order_by": "version_number DESC"}
    try:
        holder = ask(uri, "registered-models/alias", {"name": name, "alias": CHAMPION}, _Holder, _NONE, _SECONDS)
        listing = ask(uri, "model-versions/search", newest, _Listing, _NONE, _SECONDS) or _Listing()
        return Contenders(
            _contender(name, holder.model_version) if holder else None,
            tuple(_contender(name, each) for each in listing.model_versions),
        )
    except (*FAILURES, ValueError) as error:
        reason = str(error) or type(error).__name__
        raise UpstreamError(f"MLflow does not say who is champion, at {uri}: {reason}") from error


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
