"""A model card of made figures: small, with gaps where nothing was measured, and with names that try to be more."""

from typing import Any

import msgspec

from deposit.model.artifact import ModelMetadata
from deposit.training.card import (
    CalibrationBin,
    CardFigures,
    CardMember,
    CardMetric,
    CardMonth,
    ModelCard,
    ServedModel,
    parse_figures,
)
from deposit.training.slices import Estimate, Slice, Slices

HOSTILE = "<script>alert(1)</script> | *bold* [link](javascript:x)\n# heading"


def metric(value: float) -> CardMetric:
    return CardMetric(value, value - 0.01, value + 0.01, value - 0.1, value + 0.1)


def piece(column: str, group: str, flagged: bool = False) -> Slice:
    estimate, gap = Estimate(0.66, 0.6, 0.7), Estimate(-0.05, -0.08, -0.02, flagged)
    none = Estimate(float("nan"), None, None)
    return Slice(
        column=column, group=group, rows=1234, roc_auc=estimate, calibration_gap=gap, call_rate=estimate, precision=none
    )


def figures(**changes: Any) -> CardFigures:
    values: dict[str, Any] = {
        "name": "mixture",
        "metadata": ModelMetadata(dataset="d" * 16, train_start="2008-05", train_end="2010-11", development_rows=41188),
        "columns": ("age", "job"),
        "deposit_value": 10.0,
        "call_cost": 1.0,
        "metrics": {name: metric(0.5) for name in ("roc_auc_month_mean", "log_loss", "capture_30_month_mean")}
        | {"profit": metric(3467.0), "of_a_later_version": metric(1.0)},
        "curve": (
            CardMonth("2009-04", 615, 0.19, 0.622, 0.523, 326.0, 555.0),
            CardMonth("2009-05", 3, 0.0, float("nan"), 0.03, 0.0, -3.0),
        ),
        "members": (
            CardMember("rates", 0.7, {"log_loss": 0.52, "profit": 3500.0, "roc_auc_month_mean": None}),
            CardMember("xgboost", 0.3, {"log_loss": 0.45, "profit": 3000.0, "roc_auc_month_mean": 0.6}),
        ),
        "calibration": (CalibrationBin(100, 0.1, 0.15), CalibrationBin(50, 0.9, 0.8)),
        "slices": Slices(piece("", "all calls"), (piece("job", "admin.", True), piece("job", "student")), {"job": 2}),
        "contributions": {"age": 0.5, "job": 0.1},
    }
    return parse_figures(msgspec.json.encode(CardFigures(**(values | changes))))


CARD = ModelCard(
    figures=figures(),
    model_id="deposit-v7",
    why=HOSTILE,
    history=(
        ServedModel(
            model_id="deposit-v3",
            months=4,
            first="2009-05",
            last="2009-08",
            predictions=12345,
            roc_auc=0.66,
            why=HOSTILE,
        ),
    ),
)
