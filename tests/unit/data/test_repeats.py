import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from deposit.data.dating import find_repeats
from deposit.data.violations import RepeatedBlock, RepeatedRows


@pytest.fixture(scope="session")
def distinct(history: pd.DataFrame) -> pd.DataFrame:
    """Two hundred rows of one month, each of them once, from line 2 on."""
    rows = history[history["period"] == "2008-05"].drop(columns="id").drop_duplicates().head(200)
    return rows.set_axis(range(2, 202))


def joined(*parts: pd.DataFrame) -> pd.DataFrame:
    rows = pd.concat(parts)
    return rows.set_axis(range(2, 2 + len(rows)))


def test_the_original_repeats_nothing_beyond_chance(history: pd.DataFrame) -> None:
    assert find_repeats(history) == []
    ordered = history.sort_values(list(history.columns.drop(["id", "period"])), kind="stable")
    assert find_repeats(ordered.assign(period="2008-05")) == []


def test_a_block_that_stands_twice_is_found_with_its_lines(distinct: pd.DataFrame) -> None:
    rows = joined(distinct, distinct.iloc[50:80])
    assert find_repeats(rows) == [RepeatedBlock(line=202, earlier=52, rows=30)]


def test_several_blocks_are_counted_together(distinct: pd.DataFrame) -> None:
    rows = joined(distinct, distinct.iloc[50:80], distinct.iloc[100:112])
    assert find_repeats(rows) == [RepeatedBlock(line=202, earlier=52, rows=42)]


def test_rows_that_differ_in_the_outcome_are_no_repeats(distinct: pd.DataFrame) -> None:
    assert find_repeats(joined(distinct, distinct.assign(y=1 - distinct["y"]))) == []


def test_the_same_rows_in_another_month_are_repeats_of_a_block_alone(distinct: pd.DataFrame) -> None:
    repeats = find_repeats(joined(distinct, distinct.assign(period="2009-05")))
    assert repeats == [RepeatedBlock(line=202, earlier=2, rows=200)]


def test_each_row_twice_in_turn_is_found_by_the_month(distinct: pd.DataFrame) -> None:
    rows = joined(pd.concat([distinct, distinct]).sort_index(kind="stable"))
    assert find_repeats(rows) == [RepeatedRows(line=3, period="2008-05", rows=200, of=400)]


def test_a_handful_of_rows_proves_nothing(distinct: pd.DataFrame) -> None:
    assert find_repeats(joined(distinct.head(11), distinct.head(11))) == []
    assert find_repeats(distinct.head(0)) == []


@settings(deadline=None)
@given(st.integers(0, 150), st.integers(12, 50), st.integers(0, 200))
def test_any_block_copied_to_anywhere_is_found(distinct: pd.DataFrame, start: int, length: int, place: int) -> None:
    assume(not start < place < start + length)
    block = distinct.iloc[start : start + length]
    rows = joined(distinct.iloc[:place], block, distinct.iloc[place:])
    (repeat,) = find_repeats(rows)
    assert isinstance(repeat, RepeatedBlock)
    assert repeat.rows == length
