from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pytest
from monitored import Trained, sampled

from deposit.data.columns import NAMES
from deposit.monitoring.evidently_report import ReportSubject, evidently_metrics, evidently_report

SUBJECT = ReportSubject("2010-05", "deposit-v7", datetime(2010, 5, 1, tzinfo=UTC), 0.3)


def measured(trained: Trained, current: pd.DataFrame) -> dict[str, Any]:
    metrics = evidently_report(SUBJECT, current, sampled(trained, 1500, 1)).dict()["metrics"]
    return {metric["metric_name"].split("(")[0]: metric["value"] for metric in metrics}


def test_rows_like_those_of_training_have_not_drifted_and_are_measured(trained: Trained) -> None:
    metrics = measured(trained, sampled(trained, 1500, 2))
    assert metrics["DriftedColumnsCount"]["count"] == 0
    assert metrics["RocAuc"] > 0.7
    assert metrics["RowCount"] == 1500


def test_what_evidently_computed_becomes_metrics_with_its_name(trained: Trained) -> None:
    report = evidently_report(SUBJECT, sampled(trained, 1200, 3).assign(age=40), sampled(trained, 1500, 1))
    values = {(row.name, row.column): row.value for row in evidently_metrics("deposit-v7", report)}
    assert values["evidently_drifted_columns_share", ""] == pytest.approx(1 / 20)
    assert values["evidently_drift", "age"] > 0.2 > values["evidently_drift", "job"]
    assert {column for name, column in values if name == "evidently_drift"} == {*NAMES, "probability"}
    assert values["evidently_missing_share", "job"] == 0
    assert 0.7 < values["evidently_roc_auc", ""] < 1
    assert {"evidently_accuracy", "evidently_f1"} <= {name for name, _ in values}


def test_where_few_outcomes_are_known_it_tells_of_the_data_alone(trained: Trained) -> None:
    current = sampled(trained, 1200, 3, known=0.2).assign(age=40)
    metrics = measured(trained, current)
    assert "RocAuc" not in metrics
    assert metrics["RowCount"] == 1200
    assert metrics["DriftedColumnsCount"]["count"] == 1
