from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deposit.data import violations
from deposit.data.columns import FEATURES, NAMES, Category, Number
from deposit.data.contract import REQUIRED, ValidationResult, check_columns, deduplicate, validate_rows
from deposit.errors import ContractError

GOOD = {
    "id": "7", "age": "56", "job": "housemaid", "marital": "married", "education": "basic.4y", "default": "no",
    "housing": "no", "loan": "no", "contact": "telephone", "month": "may", "day_of_week": "mon", "duration": "261",
    "campaign": "1", "pdays": "999", "previous": "0", "poutcome": "nonexistent", "emp.var.rate": "1.1",
    "cons.price.idx": "93.994", "cons.conf.idx": "-36.4", "euribor3m": "4.857", "nr.employed": "5191", "y": "no",
}  # fmt: skip


def check(*changes: dict[str, str]) -> ValidationResult:
    rows = [{**GOOD, "id": str(number), **change} for number, change in enumerate(changes, start=1)]
    return validate_rows(pd.DataFrame(rows, index=range(2, 2 + len(rows)), dtype=object))


def reasons(*changes: dict[str, str]) -> dict[int, str]:
    checked = check(*changes)
    texts = violations.reasons(checked.violations)
    assert list(texts) == list(checked.rejected.index)
    return texts


def test_a_good_row_leaves_typed_and_without_duration() -> None:
    (row,) = check({"y": "yes"}).good.to_dict("records")
    assert list(row) == ["id", *NAMES, "y"]
    assert (row["id"], row["age"], row["euribor3m"], row["job"], row["y"]) == (1, 56, 4.857, "housemaid", 1)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"age": "16"}, "age is '16': a whole number from 17 to 110 is allowed"),
        ({"age": "56.5"}, "age is '56.5': a whole number from 17 to 110 is allowed"),
        ({"age": ""}, "age is empty: a whole number from 17 to 110 is allowed"),
        ({"euribor3m": "4,857"}, "euribor3m is '4,857': a number from -5 to 20 is allowed"),
        ({"euribor3m": "nan"}, "euribor3m is 'nan': a number from -5 to 20 is allowed"),
        ({"euribor3m": "-inf"}, "euribor3m is '-inf': a number from -5 to 20 is allowed"),
        ({"contact": "Cell"}, "contact is 'Cell': one of cellular, telephone is allowed"),
        ({"y": "2"}, "y is '2': no or yes, or 1 or 0, is allowed"),
        ({"y": ""}, "y is empty: no or yes, or 1 or 0, is allowed"),
        ({"id": "-1"}, "id is '-1': a whole number from 0 on is allowed, each once"),
        ({"id": "1.0"}, "id is '1.0': a whole number from 0 on is allowed, each once"),
        ({"id": "01"}, "id is '01': a whole number from 0 on is allowed, each once"),
        ({"job": "a\nb" * 30}, "job is 'a\\nba\\nb"),
        (
            {"age": "0", "y": "maybe"},
            "age is '0': a whole number from 17 to 110 is allowed; y is 'maybe': no or yes, or 1",
        ),
    ],
)
def test_a_bad_row_is_rejected_with_its_line_and_what_is_allowed(change: dict[str, str], reason: str) -> None:
    violations = reasons({}, change, {})
    assert list(violations) == [3]
    assert violations[3].startswith(reason)
    assert "\n" not in violations[3]


def test_bad_rows_are_told_in_the_file_s_order() -> None:
    assert list(reasons({"y": "?"}, {}, {"age": "?"}, {"y": "?", "age": "?"})) == [2, 4, 5]


def test_all_rows_may_be_bad() -> None:
    checked = check({"y": "?"}, {"y": "?"})
    assert (len(checked.good), len(checked.rejected)) == (0, 2)
    assert checked.good["y"].dtype == "int8"


def test_an_own_period_is_kept_and_checked() -> None:
    checked = check({"period": "2008-05"}, {"period": "2008-06"}, {"period": "2008-5"}, {"period": ""})
    assert checked.good["period"].tolist() == ["2008-05"]
    assert list(checked.rejected.index) == [3, 4, 5]
    assert "period is '2008-06': a month as YYYY-MM is allowed, the same as in" in str(checked.violations[0])
    assert [violation.rule for violation in checked.violations] == ["month", "domain", "domain"]


def test_a_wrong_month_is_not_blamed_on_the_period() -> None:
    assert reasons({"period": "2008-05", "month": "mai"})[2].startswith("month is 'mai': one of jan, feb")
    assert "period" not in reasons({"period": "2008-05", "month": "mai"})[2]


def test_an_id_may_be_used_once() -> None:
    unique = deduplicate(check({"id": "5"}, {"id": "6"}, {"id": "5"}).good)
    assert unique.good["id"].tolist() == [5, 6]
    assert unique.rejected["id"].to_dict() == {4: "5"}
    assert violations.reasons(unique.violations) == {4: "id is '5': a whole number from 0 on is allowed, each once"}


def test_large_ids_stay_exact() -> None:
    assert check({"id": "900719925474099301"}, {"id": "x"}).good["id"].tolist() == [900719925474099301]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (REQUIRED[1:], "missing column age .it has 19 of 20.: add"),
        ((*REQUIRED[1:], "Alder", "AGES"), r"missing column age .is it 'AGES'\?.: add"),
        (("duration",), "the only column is `duration`, which is known only after the call"),
        (("duration", "y"), "the only column is `duration`"),
        ((*REQUIRED, "name"), "unknown column 'name': remove it"),
        ((*REQUIRED, "y"), "column 'y' occurs more than once"),
    ],
)
def test_wrong_columns_are_refused_by_name(names: tuple[str, ...], message: str) -> None:
    with pytest.raises(ContractError, match=message) as caught:
        check_columns(names)
    assert "\n" not in str(caught.value)


def test_the_columns_may_come_in_any_order_with_duration_id_and_period() -> None:
    check_columns([*reversed(REQUIRED), "duration", "period", "id"])


def a_value_of(column: Category | Number) -> st.SearchStrategy[str]:
    if isinstance(column, Category):
        return st.sampled_from(column.allowed)
    if column.integer:
        return st.integers(int(column.low), int(column.high)).map(str)
    return st.floats(column.low, column.high).map(repr)


a_row = st.fixed_dictionaries(
    {**{column.name: a_value_of(column) for column in FEATURES}, "y": st.sampled_from(["no", "yes"])}
)
quick = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@quick
@given(st.lists(a_row, min_size=1, max_size=5))
def test_any_row_within_the_description_passes_unchanged(rows: list[dict[str, str]]) -> None:
    checked = check(*rows)
    assert checked.rejected.empty
    for given_row, row in zip(rows, checked.good.to_dict("records"), strict=True):
        for column in FEATURES:
            value: Any = row[column.name]
            assert value == (given_row[column.name] if isinstance(column, Category) else float(given_row[column.name]))


@quick
@given(a_row, st.sampled_from(REQUIRED), st.text(max_size=60))
def test_any_text_anywhere_either_passes_as_described_or_is_rejected_by_name(
    row: dict[str, str], name: str, text: str
) -> None:
    checked = check({}, {**row, name: text})
    assert len(checked.good) + len(checked.rejected) == 2
    if not checked.rejected.empty:
        (reason,) = violations.reasons(checked.violations).values()
        assert reason.startswith(f"{name} is ")
        assert len(reason.splitlines()) == 1
        assert len(reason) < 400


@quick
@given(a_row, st.sampled_from([column for column in FEATURES if isinstance(column, Number)]), st.floats())
def test_any_number_out_of_range_is_rejected(row: dict[str, str], column: Number, value: float) -> None:
    fits = column.low <= value <= column.high and (not column.integer or value == int(value))
    assert check({**row, column.name: repr(value)}).rejected.empty == fits
