from pathlib import Path

import pytest

from deposit.sections import TrainSettings
from deposit.training import history
from deposit.training.history import code_digest, settings_key, training_key

SOURCE = '''
"""A module."""
LIMIT = 3
"""What it means."""

def weigh(rows: int) -> float:
    """A function."""
    return rows / LIMIT  # a comment
'''


@pytest.mark.parametrize(
    ("old", "new"),
    [("A module", "Another"), ("What it means", "-"), ("A function.", ""), ("  # a comment", ""), ("\n\n", "\n\n\n")],
)
def test_comments_docstrings_and_layout_do_not_change_the_code(old: str, new: str) -> None:
    assert old in SOURCE
    assert code_digest([SOURCE.replace(old, new)]) == code_digest([SOURCE])


@pytest.mark.parametrize(("old", "new"), [("LIMIT = 3", "LIMIT = 4"), ("rows / LIMIT", "rows * LIMIT")])
def test_another_statement_changes_the_code(old: str, new: str) -> None:
    assert code_digest([SOURCE.replace(old, new)]) != code_digest([SOURCE])


def test_a_text_that_is_used_is_no_docstring() -> None:
    assert code_digest(['x = "one"']) != code_digest(['x = "other"'])


def test_a_function_that_has_only_a_docstring_is_still_there() -> None:
    assert code_digest(['def one():\n    """Nothing."""']) != code_digest([""])


@pytest.mark.parametrize(
    "changed", [{"test_share": 0.1}, {"validation_share": 0.1}, {"trials": 3}, {"seed": 8}, {"bootstrap": 900}]
)
def test_what_changes_a_model_or_its_intervals_changes_the_key(changed: dict[str, float]) -> None:
    other = TrainSettings.model_validate(changed)
    assert settings_key(other) != settings_key(TrainSettings())
    assert training_key("d", [], other) != training_key("d", [], TrainSettings())


@pytest.mark.parametrize("changed", [{"threads": 1}, {"with_faults": True}])
def test_what_changes_no_model_changes_no_key(changed: dict[str, int]) -> None:
    assert settings_key(TrainSettings.model_validate(changed)) == settings_key(TrainSettings())


def test_data_and_excluded_periods_are_in_the_key() -> None:
    keys = {
        training_key(*content, TrainSettings())
        for content in (("d", []), ("e", []), ("d", ["2009-01"]), ("d", ["2009-01", "2009-02"]))
    }
    assert len(keys) == 4
    both = ["2009-01", "2009-02"]
    assert training_key("d", both, TrainSettings()) == training_key("d", both[::-1], TrainSettings())


def test_the_code_of_each_pattern_exists() -> None:
    package = Path(history.__file__).parents[1]
    assert [pattern for pattern in history._CODE if not list(package.glob(pattern))] == []
