import re
from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from messages import refuses

from deposit.data.dating import date_rows
from deposit.data.violations import Gap, SharedFigures
from deposit.errors import ContractError
from deposit.sections import IngestSettings, Rule

TODAY = date(2026, 11, 25)
STATED = [None, 2008, 2015]
in_its_time = settings(deadline=None, max_examples=40)


@pytest.fixture(scope="session")
def original(history: pd.DataFrame) -> pd.DataFrame:
    """The real rows as the contract leaves them, indexed by line; with the right period beside, as `truth`."""
    return numbered(history.rename(columns={"period": "truth"}))


@pytest.fixture(scope="session")
def thin(original: pd.DataFrame) -> pd.DataFrame:
    return numbered(original.iloc[::40])


def numbered(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.set_axis(range(2, 2 + len(rows)))


def own(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of another bank: their figures are in no table."""
    return rows.assign(**{"cons.price.idx": rows["cons.price.idx"] + 1})


def dated(rows: pd.DataFrame, **changes: object) -> list[str]:
    return date_rows(rows, IngestSettings(**changes), TODAY).rows["period"].tolist()


def right_or_refused(rows: pd.DataFrame, first_year: int | None, why: str) -> None:
    try:
        dates = dated(rows, first_year=first_year)
    except ContractError as error:
        refusal, lines = str(error), "; ".join([*map(str, error.details), str(error)])
    else:
        assert dates == rows["truth"].tolist()
        return
    assert re.search(why, lines)
    assert "\n" not in lines
    assert len(refusal) < 200


@pytest.mark.parametrize("first_year", [None, 2008])
def test_the_original_has_its_months_stated_or_known(original: pd.DataFrame, first_year: int | None) -> None:
    result = date_rows(original, IngestSettings(first_year=first_year), TODAY)
    assert result.rows["period"].tolist() == original["truth"].tolist()
    assert result.accepted == ()


@pytest.mark.parametrize("first_year", [None, 2008])
@pytest.mark.parametrize("step", [8, 12, 20, 40])
def test_samples_are_accepted_with_any_outcomes(original: pd.DataFrame, step: int, first_year: int | None) -> None:
    sample = numbered(original.iloc[::step])
    for outcomes in (sample["y"], np.int8(0)):
        assert dated(sample.assign(y=outcomes), first_year=first_year) == sample["truth"].tolist()


def test_each_month_alone_is_dated(original: pd.DataFrame) -> None:
    for period, rows in original.groupby("truth"):
        assert set(dated(rows)) == {period}


def test_a_year_left_out_is_seen_and_may_be_accepted(thin: pd.DataFrame) -> None:
    rows = numbered(thin[~thin["truth"].str.startswith("2009")])
    with refuses(ContractError, r"gaps: line \d+: 2010-03 follows 2008-12, 14 months .*--accept gaps"):
        dated(rows)
    result = date_rows(rows, IngestSettings(accept=["gaps"]), TODAY)
    assert result.rows["period"].tolist() == rows["truth"].tolist()
    assert [type(violation) for violation in result.accepted] == [Gap]


def test_rows_of_another_bank_need_a_period_or_a_year(thin: pd.DataFrame) -> None:
    rows = own(thin)
    with refuses(ContractError, r"line 2 is not of .*column `period` .*`date` .*--first-year"):
        dated(rows)
    moved = [f"{int(period[:4]) + 7}{period[4:]}" for period in rows["truth"]]
    assert dated(rows, first_year=2015) == moved
    assert dated(rows.assign(period=moved)) == moved
    assert dated(rows.assign(period=moved), first_year=1999) == moved


def test_one_row_that_is_not_of_the_original_is_named(thin: pd.DataFrame) -> None:
    rows = thin.copy()
    rows.loc[17, "cons.price.idx"] = 94.0
    with refuses(ContractError, r"line 17 is not of the public data set, .* no may there has a price index of 94 and"):
        dated(rows)
    assert dated(rows, first_year=2008) == rows["truth"].tolist()


def test_the_original_of_a_wrong_year_is_caught(thin: pd.DataFrame) -> None:
    with refuses(ContractError, r"macro: line 2: 2015-05 .* of 2008-05 in the public data set .*2017-11"):
        dated(thin, first_year=2015)
    assert dated(thin, first_year=2015, accept=["macro"])[0] == "2015-05"


def test_rows_that_are_not_in_time_order_are_refused_whatever_is_accepted(thin: pd.DataFrame) -> None:
    rows = numbered(thin.sort_values("age", kind="stable"))
    for stated in ({}, {"first_year": 2008}):
        with refuses(ContractError, r"line \d+: .*sort the rows oldest first"):
            dated(rows, accept=["macro", "repeated", "gaps"], **stated)
    with refuses(ContractError, r"line \d+: period .* comes after"):
        dated(rows.assign(period=rows["truth"]))


def test_the_future_is_refused_unless_accepted(thin: pd.DataFrame) -> None:
    rows = own(thin).assign(period=[f"{int(period[:4]) + 16}{period[4:]}" for period in thin["truth"]])
    assert dated(rows) == rows["period"].tolist()
    with refuses(ContractError, r"future: line \d+: 2026-10 is in the future.*2026-11.*accept future"):
        date_rows(rows, IngestSettings(), date(2026, 9, 30))
    assert date_rows(rows, IngestSettings(), date(2026, 11, 1)).accepted == ()
    stated = rows.drop(columns="period")
    assert date_rows(stated, IngestSettings(first_year=2024, accept=["future"]), date(2025, 1, 1)).accepted


def test_all_violations_are_listed_and_each_is_accepted_by_its_name(thin: pd.DataFrame) -> None:
    rows = numbered(pd.concat([own(thin)] * 2))
    with refuses(ContractError, "--accept") as caught:
        dated(rows, first_year=2020)
    text = "; ".join([*map(str, caught.value.details), str(caught.value)])
    assert all(f"{rule}: " in text and f"--accept {rule}" in text for rule in (Rule.MACRO, Rule.REPEATED, Rule.GAPS))
    assert len(str(caught.value)) < 200
    with refuses(ContractError, "repeated: "):
        dated(rows, first_year=2020, accept=["macro", "gaps"])
    result = date_rows(rows, IngestSettings(first_year=2020, accept=["macro", "repeated", "gaps"]), TODAY)
    assert isinstance(result.accepted[0], SharedFigures)
    assert {violation.rule for violation in result.accepted} == {Rule.MACRO, Rule.REPEATED, Rule.GAPS}


@in_its_time
@given(st.sampled_from(STATED), st.floats(0.1, 0.9), st.integers(0, 2**32 - 1))
def test_a_train_and_a_test_file_joined_are_refused(
    thin: pd.DataFrame, year: int | None, share: float, seed: int
) -> None:
    chosen = np.random.default_rng(seed).random(len(thin)) < share
    rows = numbered(pd.concat([thin[chosen], thin[~chosen]]))
    with refuses(ContractError, r"comes after|macro: "):
        dated(rows, first_year=year)
    if year:
        with refuses(ContractError, "macro: "):
            dated(own(rows), first_year=year)


@in_its_time
@given(st.sampled_from(STATED), st.integers(2, 4), st.booleans())
def test_a_file_several_times_is_refused(thin: pd.DataFrame, year: int | None, times: int, sort: bool) -> None:
    rows = pd.concat([thin] * times)
    rows = numbered(rows.sort_values("id", kind="stable") if sort else rows)
    with refuses(ContractError, r"comes after|macro: |repeated: "):
        dated(rows, first_year=year)
    if year:
        with refuses(ContractError, "repeated: "):
            dated(own(rows), first_year=year)


@in_its_time
@given(st.sampled_from([None, 2008]), st.permutations(range(6)))
def test_blocks_in_another_order_are_right_or_refused(thin: pd.DataFrame, year: int | None, order: list[int]) -> None:
    blocks = np.array_split(np.arange(len(thin)), 6)
    rows = numbered(thin.iloc[np.concatenate([blocks[number] for number in order])])
    right_or_refused(rows, year, "comes after|macro: |gaps: |sort")


@in_its_time
@given(st.sampled_from(STATED), st.sets(st.sampled_from(["2008", "2009", "2010"]), min_size=1, max_size=2))
def test_years_left_out_are_right_or_refused(thin: pd.DataFrame, year: int | None, left_out: set[str]) -> None:
    right_or_refused(numbered(thin[~thin["truth"].str[:4].isin(left_out)]), year, "macro: |gaps: ")
