from pathlib import Path

import pytest

from deposit.settings import Settings
from deposit.training import history
from deposit.training.history import code_digest, settings_key, training_key

SETTINGS = Settings()
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


def _key(settings: Settings) -> str:
    return settings_key(settings.train, settings.select)


@pytest.mark.parametrize(
    ("section", "changed"),
    [
        ("train", {"label_delay": 1}),
        ("train", {"trials": 3}),
        ("train", {"seed": 8}),
        ("train", {"bootstrap": 900}),
        ("select", {"rule": "accuracy_f1"}),
    ],
)
def test_what_changes_a_model_or_its_intervals_changes_the_key(section: str, changed: dict[str, float]) -> None:
    other = SETTINGS.changed(section, **changed)
    assert _key(other) != _key(SETTINGS)
    assert training_key("d", [], _key(other)) != training_key("d", [], _key(SETTINGS))


@pytest.mark.parametrize(
    ("section", "changed"),
    [("train", {"threads": 1}), ("train", {"with_faults": True}), ("economics", {"deposit_value": 4.0})],
)
def test_what_changes_no_model_changes_no_key(section: str, changed: dict[str, int]) -> None:
    assert _key(SETTINGS.changed(section, **changed)) == _key(SETTINGS)


def test_data_and_excluded_periods_are_in_the_key() -> None:
    keys = {
        training_key(*content, _key(SETTINGS))
        for content in (("d", []), ("e", []), ("d", ["2009-01"]), ("d", ["2009-01", "2009-02"]))
    }
    assert len(keys) == 4
    both = ["2009-01", "2009-02"]
    assert training_key("d", both, _key(SETTINGS)) == training_key("d", both[::-1], _key(SETTINGS))


def test_the_code_of_each_pattern_exists() -> None:
    package = Path(history.__file__).parents[1]
    assert [pattern for pattern in history._CODE if not list(package.glob(pattern))] == []
