from datetime import date

import pandas as pd
import pytest

from deposit.data.dating import find_violations
from deposit.data.violations import FuturePeriod, Gap, KnownFigures, MixedFigures, SharedFigures, Violation

TODAY = date(2026, 11, 25)


@pytest.fixture(scope="session")
def row(history: pd.DataFrame) -> pd.DataFrame:
    return history.head(1)


def rows_of(row: pd.DataFrame, *runs: tuple[str, float, float]) -> pd.DataFrame:
    """One row for each period and set of figures, all different, from line 2 on."""
    periods, prices, confidences = zip(*runs, strict=True)
    rows = pd.concat([row] * len(runs)).assign(period=periods, age=[20 + place for place in range(len(runs))])
    return rows.assign(**{"cons.price.idx": prices, "cons.conf.idx": confidences}).set_axis(range(2, 2 + len(runs)))


def violations_of(rows: pd.DataFrame, tolerance: float = 0.01) -> list[Violation]:
    return list(find_violations(rows, tolerance, TODAY))


def test_months_with_figures_of_their_own_are_right(row: pd.DataFrame) -> None:
    assert violations_of(rows_of(row, ("2020-01", 100, 1), ("2020-02", 100, 2), ("2020-03", 101, 2))) == []


def test_the_same_figures_in_two_periods(row: pd.DataFrame) -> None:
    rows = rows_of(row, ("2020-01", 100, 1), ("2020-02", 101, 1), ("2020-03", 100, 1))
    assert violations_of(rows) == [SharedFigures(4, "2020-03", "2020-01", 100, 1)]


def test_a_period_with_several_sets_of_figures(row: pd.DataFrame) -> None:
    rows = rows_of(row, *[("2020-01", 100, 1)] * 3, ("2020-01", 101, 1))
    assert violations_of(rows) == [MixedFigures(5, "2020-01", 0.25)]
    assert violations_of(rows, tolerance=0.25) == []


def test_figures_that_the_public_data_set_has_in_another_month(row: pd.DataFrame) -> None:
    rows = rows_of(row, ("2008-05", 93.994, -36.4), ("2008-06", 93.2, -42.0))
    assert violations_of(rows) == [KnownFigures(3, "2008-06", "2008-11", 93.2, -42.0)]


def test_a_few_strays_are_within_the_tolerance(row: pd.DataFrame) -> None:
    rows = rows_of(row, ("2020-01", 100, 1), *[("2020-02", 101, 1)] * 99, ("2020-02", 100, 1))
    assert violations_of(rows) == []
    assert [type(violation) for violation in violations_of(rows, tolerance=0)] == [SharedFigures, MixedFigures]


def test_two_months_may_be_missing_and_three_may_not(row: pd.DataFrame) -> None:
    rows = rows_of(row, ("2019-12", 100, 1), ("2020-03", 101, 1), ("2020-07", 102, 1))
    assert violations_of(rows) == [Gap(4, "2020-07", "2020-03", 3)]


def test_the_current_month_is_the_last_that_there_is(row: pd.DataFrame) -> None:
    rows = rows_of(row, ("2026-11", 100, 1), ("2026-12", 101, 1), ("2027-01", 102, 1))
    assert violations_of(rows) == [FuturePeriod(3, "2026-12"), FuturePeriod(4, "2027-01")]
