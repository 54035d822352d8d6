import pytest

from deposit.overview.heatmap import heatmap
from deposit.overview.monthly import MONTHS, CurveName, Figure, age_of, by_registered_model, monthly_figures


def month(period: str, model_id: str, column: str = "", **values: float) -> list[Figure]:
    return [Figure(period, model_id, name, column, value) for name, value in values.items()]


def test_a_month_is_described_by_the_model_that_answered_most_of_it() -> None:
    figures = monthly_figures(
        "deposit",
        [
            *month("2010-05", "deposit-v1", rows=900, roc_auc=0.6, roc_auc_low=0.5, roc_auc_high=0.7),
            *month("2010-05", "deposit-v2", rows=100, roc_auc=0.9, roc_auc_low=0.8, roc_auc_high=1.0),
            *month("2010-06", "deposit-v2", rows=500, roc_auc=0.7, roc_auc_low=0.6, roc_auc_high=0.8),
        ],
        None,
    )
    assert figures.models == ("deposit-v1", "deposit-v2")
    auc = figures.curves[CurveName.ROC_AUC]
    assert (auc.values, auc.low, auc.high, auc.beside) == ((0.6, 0.7), (0.5, 0.6), (0.7, 0.8), (None, None))
    assert auc.newest == 1


def test_months_without_predictions_are_gaps_and_no_change_of_model() -> None:
    rows = [*month("2009-11", "m-v1", rows=1), *month("2010-02", "m-v1", rows=1), *month("2010-03", "m-v3", rows=1)]
    figures = monthly_figures("m", rows, None)
    assert figures.periods == ("2009-11", "2009-12", "2010-01", "2010-02", "2010-03")
    assert figures.models == ("m-v1", None, None, "m-v1", "m-v3")
    assert figures.changes == (4,)
    assert figures.curves[CurveName.ROC_AUC].newest is None


def test_only_the_newest_calendar_months_are_shown() -> None:
    figures = monthly_figures("m", [*month("1999-01", "m-v1", rows=1), *month("2010-12", "m-v1", rows=1)], None)
    assert (len(figures.periods), figures.periods[-1]) == (MONTHS, "2010-12")
    assert figures.models[0] is None


def test_the_rate_has_the_interval_of_the_outcomes_that_are_known() -> None:
    def rate(known: float) -> tuple[float | None, float | None, float | None, float | None]:
        values = month("2010-05", "m-v1", rows=1000, outcomes_known_share=known, rate=0.1, mean_probability=0.12)
        curve = monthly_figures("m", values, None).curves[CurveName.RATE]
        return curve.values[0], curve.low[0], curve.high[0], curve.beside[0]

    # Wilson's, as statsmodels' proportion_confint(100, 1000, method="wilson") gives them
    assert rate(1.0) == pytest.approx((0.1, 0.0829, 0.1202, 0.12), abs=1e-4)
    assert rate(0.1) == pytest.approx((0.1, 0.0552, 0.1744, 0.12), abs=1e-4)
    assert rate(0.0) == (None, None, None, 0.12)


def test_profit_is_that_of_the_calls_that_can_be_made() -> None:
    rows = month(
        "2010-05", "m-v1", rows=10, profit=5, profit_low=4, profit_high=6, profit_call_everyone=2,
        profit_at_capacity=3, profit_at_capacity_low=2, profit_at_capacity_high=4, profit_call_everyone_at_capacity=1,
    )  # fmt: skip
    for capacity, expected in ((None, (5, 4, 6, 2)), (100, (3, 2, 4, 1))):
        curve = monthly_figures("m", rows, capacity).curves[CurveName.PROFIT]
        assert (curve.values[0], curve.low[0], curve.high[0], curve.beside[0]) == expected


def test_registered_models_are_kept_apart() -> None:
    rows = [*month("2010-05", "deposit-v1", rows=1), *month("2008-12", "replay-untrained-v2", rows=1)]
    assert {name: each.periods for name, each in by_registered_model(rows, None).items()} == {
        "deposit": ("2010-05",),
        "replay-untrained": ("2008-12",),
    }


def test_a_models_age_is_that_of_the_newest_month() -> None:
    rows = [
        *month("2010-05", "m-v1", age_months=2, stale_after_months=3),
        *month("2010-07", "m-v1", age_months=4, stale_after_months=3),
        *month("2010-08", "m-v2", age_months=0, stale_after_months=3),
    ]
    age = age_of(rows, "m-v1", 6)
    assert age is not None
    assert (age.months, age.is_stale, age.is_expired) == (4, True, False)
    expired = age_of(rows, "m-v1", 3)
    assert expired is not None
    assert expired.is_expired
    assert age_of(rows, "m-v9", 6) is None


def test_the_heat_map_has_what_moved_most_on_top_and_gaps_where_nothing_was_predicted() -> None:
    rows = [
        *month("2010-05", "m-v1", rows=1),
        *month("2010-05", "m-v1", "age", psi=0.05, moved=0),
        *month("2010-05", "m-v1", "job", psi=0.15, moved=0),
        *month("2010-05", "m-v1", "euribor3m", psi=3.2, moved=1),
        *month("2010-07", "m-v1", rows=1),
        *month("2010-07", "m-v1", "age", psi=0.25, moved=0),
        *month("2010-07", "m-v1", "job", psi=0.2, moved=1),
        *month("2010-07", "m-v1", "euribor3m", psi=0.7, moved=1),
    ]
    seen = heatmap(monthly_figures("m", rows, None))
    assert seen.periods == ("2010-05", "2010-06", "2010-07")
    assert [row.column for row in seen.rows] == ["euribor3m", "job", "age"]
    assert [[cell and (cell.shade, cell.moved) for cell in row.cells] for row in seen.rows] == [
        [(4, True), None, (3, True)],
        [(1, False), None, (2, True)],
        [(0, False), None, (2, False)],
    ]
