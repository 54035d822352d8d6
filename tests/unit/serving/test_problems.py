from typing import Any

import pytest

from deposit.data.columns import FEATURES, NAMES, Category
from serving.openapi import EXAMPLE_CUSTOMER, document
from serving.problems import MAX_PROBLEMS, problems_of


def test_every_message_says_what_is_allowed() -> None:
    messages = {problem.field: problem.message for problem in problems_of({"customers": [{}]})}
    for column in FEATURES[:MAX_PROBLEMS]:
        expected = column.allowed[0] if isinstance(column, Category) else f"from {column.low:g} to {column.high:g}"
        assert expected in messages[column.name]


def test_no_more_than_twenty_are_reported() -> None:
    assert len(problems_of({"customers": [{}] * 5})) == MAX_PROBLEMS


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 10**400, -(10**400), "\ud800", [[]] * 50])
def test_strange_values_are_named_and_shown_short(value: Any) -> None:
    (problem,) = problems_of({"customers": [{**EXAMPLE_CUSTOMER, "age": value}]})
    assert (problem.row, problem.field) == (0, "age")
    assert len(problem.message) < 120


def test_the_example_has_every_column() -> None:
    assert set(EXAMPLE_CUSTOMER) == {*NAMES, "id"}
    assert problems_of({"customers": [EXAMPLE_CUSTOMER]}) == []


def test_the_schema_of_a_customer_is_made_from_the_columns() -> None:
    schema = document(10)["components"]["schemas"]["Customer"]
    assert schema["required"] == list(NAMES)
    assert schema["properties"]["age"]["minimum"] == 17
    assert "unknown" in schema["properties"]["job"]["enum"]
