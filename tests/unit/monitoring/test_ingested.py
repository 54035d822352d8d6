import numpy as np
import pandas as pd
import pytest

from deposit.monitoring.ingested import IngestedMonth, check_ingested, describe_ingested
from deposit.monitoring.quality import OUTCOMES
from deposit.training.profiling import profile_reference

MONTH = "2010-05"


@pytest.fixture(scope="module")
def delivered(history: pd.DataFrame) -> pd.DataFrame:
    """The history as delivered, whose months are good."""
    return history[history["period"] >= "2009-09"].reset_index(drop=True)


def broken(frame: pd.DataFrame, column: str, value: object, share: float = 1.0) -> pd.DataFrame:
    """The frame with one value in a share of one month's rows."""
    chosen = (frame["period"] == MONTH) & (np.random.default_rng(0).random(len(frame)) < share)
    return frame.assign(**{column: frame[column].mask(chosen, value)})


def checked(frame: pd.DataFrame) -> IngestedMonth:
    (month,) = check_ingested(frame, [MONTH], profile_reference)
    return month


def test_months_as_delivered_are_good_where_they_have_the_rows_to_show_it(delivered: pd.DataFrame) -> None:
    sizes = delivered["period"].value_counts()
    for period, rows in sizes.items():
        (month,) = check_ingested(delivered, [str(period)], profile_reference)
        assert (month.period, month.rows, month.is_good) == (str(period), rows, rows >= 200), month


@pytest.mark.parametrize(
    ("column", "value", "share"),
    [
        ("job", "unknown", 0.3),
        ("job", "admin.", 1.0),
        ("age", 40, 1.0),
        ("campaign", 1, 1.0),
        ("education", "unknown", 0.5),
    ],
)
def test_a_column_that_is_broken_in_them_too_is_named(
    delivered: pd.DataFrame, column: str, value: object, share: float
) -> None:
    month = checked(broken(delivered, column, value, share))
    assert [fault.column for fault in month.faults] == [column]
    assert not month.is_good
    assert describe_ingested(month) == (
        f"{MONTH}: the data sent to the models was broken, and so are its ingested rows ({column}): it is excluded"
    )


@pytest.mark.parametrize("outcome", [0, 1])
def test_outcomes_that_are_all_alike_are_broken(delivered: pd.DataFrame, outcome: int) -> None:
    assert [fault.column for fault in checked(broken(delivered, "y", outcome)).faults] == [OUTCOMES]


def test_a_good_month_is_kept_with_a_sentence(delivered: pd.DataFrame) -> None:
    rows = int((delivered["period"] == MONTH).sum())
    assert describe_ingested(checked(delivered)) == (
        f"{MONTH}: the data sent to the models was broken; its {rows:,} ingested rows pass the same checks, "
        "so it is used for training"
    )


def test_rows_too_few_to_show_a_fault_clear_nothing(delivered: pd.DataFrame) -> None:
    few = pd.concat([delivered[delivered["period"] != MONTH], delivered[delivered["period"] == MONTH].head(199)])
    alone = delivered[delivered["period"] == MONTH]
    for frame, rows in ((few, 199), (alone, 0)):
        month = checked(frame)
        assert not month.is_good
        assert describe_ingested(month).endswith(f"and {rows} ingested rows are too few to clear it: it is excluded")


def test_another_broken_month_is_no_measure(delivered: pd.DataFrame) -> None:
    spoilt = broken(delivered, "job", "unknown")
    spoilt.loc[spoilt["period"] == "2010-06", "job"] = "unknown"
    assert [month.is_good for month in check_ingested(spoilt, [MONTH, "2010-06"], profile_reference)] == [False, False]


def test_months_that_a_dataset_does_not_have_are_left_out(delivered: pd.DataFrame) -> None:
    assert check_ingested(delivered, ["2031-01"], profile_reference) == []
