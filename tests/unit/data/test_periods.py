import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deposit.data.columns import MONTHS
from deposit.data.periods import assign, check_order
from deposit.errors import ContractError


def months(*names: str) -> pd.Series:
    return pd.Series(names, index=range(2, 2 + len(names)), dtype=object)


def test_the_year_steps_when_the_month_goes_backwards() -> None:
    periods = assign(months("may", "may", "dec", "mar", "mar", "nov", "apr"), 2008, 2026)
    assert periods.tolist() == ["2008-05", "2008-05", "2008-12", "2009-03", "2009-03", "2009-11", "2010-04"]
    assert periods.index.tolist() == list(range(2, 9))


def test_no_rows_have_no_periods() -> None:
    assert assign(months(), 2008, 2026).empty


def test_rows_out_of_order_are_refused_at_the_line_where_the_years_run_out() -> None:
    with pytest.raises(ContractError, match=r"line 4: .*sort the rows oldest first.*period.*FIRST_YEAR"):
        assign(months("may", "apr", "mar"), 2025, 2026)


@given(
    st.integers(1970, 2050),
    st.lists(st.tuples(st.integers(1, 11), st.integers(1, 4)), min_size=1, max_size=40),
    st.integers(0, 11),
)
def test_any_history_without_a_year_s_gap_is_found_again(
    first_year: int, steps: list[tuple[int, int]], start: int
) -> None:
    true, names, month = [], [], first_year * 12 + start
    for gap, repeats in steps:
        true += [f"{month // 12:04d}-{month % 12 + 1:02d}"] * repeats
        names += [MONTHS[month % 12]] * repeats
        month += gap
    assert assign(months(*names), first_year, 9999).tolist() == true


def test_periods_that_go_backwards_are_refused_by_line() -> None:
    with pytest.raises(ContractError, match="line 4: period 2008-06 comes after 2009-01"):
        check_order(months("2008-05", "2009-01", "2008-06"))
    check_order(months("2008-05", "2008-05", "2009-01"))
    check_order(months())
