import json
import subprocess
import sys
from typing import Any

import pandas as pd
import pandera.pandas as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deposit.data.columns import CATEGORIES, FEATURES, NUMBERS, Number
from deposit.data.tables.cells import number
from deposit.settings import REPOSITORY

NEW = """
    Category("colour", ("red", "blue"), "colour of the customer's card", "blue"),
    Number("card.age", 0, 40, True, "age of the card in years", 3),
"""
"""One entry a column, as somebody would add it."""
GROWN = """
import json, sys
from importlib import util
from pathlib import Path
spec = util.find_spec("deposit.data.columns")
source = Path(spec.origin).read_text()
end = ")  # fmt: skip"
assert source.count(end) == 1
module = util.module_from_spec(spec)
sys.modules["deposit.data.columns"] = module
exec(compile(source.replace(end, sys.argv[1] + end), spec.origin, "exec"), module.__dict__)

import msgspec
import pandas as pd
from deposit.data import contract, dataset, violations
from deposit.model.encoder import Encoder
from serving.openapi import EXAMPLE_CUSTOMER, document
from serving.problems import problems_of
from serving.request_schemas import decode_request

cells = {name: str(value) for name, value in EXAMPLE_CUSTOMER.items() if name != "id"} | {"y": "no"}
changes = [{}, {"colour": "green"}, {"card.age": "41"}, {"card.age": " 7 "}]
raw = pd.DataFrame([{**cells, "id": str(number), **change} for number, change in enumerate(changes)], dtype=object)
checked = contract.validate_rows(raw)
body = json.dumps({"customers": [EXAMPLE_CUSTOMER]}).encode()
customer = decode_request(body).customers[0]
try:
    refused = decode_request(body.replace(b'"blue"', b'"green"'))
except msgspec.ValidationError as error:
    refused = str(error)
encoder = Encoder.fit(checked.good)
properties = document(9)["components"]["schemas"]["Customer"]["properties"]
print(json.dumps({
    "ages": checked.good["card.age"].tolist(),
    "colours": checked.good["colour"].cat.categories.tolist(),
    "rejected": violations.reasons(checked.violations),
    "arrow": str(dataset.SCHEMA.field("card.age").type),
    "struct": [customer.colour, customer.card_age],
    "refused": refused,
    "problems": [p.message for p in problems_of({"customers": [{**EXAMPLE_CUSTOMER, "colour": 1, "card.age": True}]})],
    "schema": {name: properties[name] for name in module.NAMES[-2:]},
    "encoded": encoder.encode_columns(checked.good).shape[1] == len(encoder.names()),
    "features": encoder.names()[-3:],
}))
"""


def test_a_new_column_is_one_entry() -> None:
    path = ":".join(str(REPOSITORY / folder) for folder in ("plugins", "bento"))
    done = subprocess.run(
        [sys.executable, "-c", GROWN, NEW], env={"PYTHONPATH": path}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "ages": [3, 7],
        "colours": ["red", "blue"],
        "rejected": {
            "1": "colour is 'green': one of red, blue is allowed",
            "2": "card.age is '41': a whole number from 0 to 40 is allowed",
        },
        "arrow": "int64",
        "struct": ["blue", 3],
        "refused": "Invalid enum value 'green' - at `$.customers[0].colour`",
        "problems": ["must be one of red, blue; got 1", "must be a whole number from 0 to 40; got true"],
        "schema": {
            "colour": {"type": "string", "enum": ["red", "blue"], "description": "colour of the customer's card"},
            "card.age": {"type": "integer", "minimum": 0, "maximum": 40, "description": "age of the card in years"},
        },
        "encoded": True,
        "features": ["colour=red", "colour=blue", "card.age"],
    }


def test_each_example_is_allowed() -> None:
    assert [column.name for column in FEATURES if not column.contains(column.example)] == []


def test_names_in_tables_have_no_dots_and_stay_apart() -> None:
    names = [column.sql_name for column in FEATURES]
    assert all(name.isidentifier() for name in names)
    assert len(set(names)) == len(FEATURES)


@pytest.mark.parametrize("value", [None, True, [], {}, "41 ", b"41", float("nan"), float("inf"), 10**400, object()])
def test_what_is_no_value_is_in_no_column(value: Any) -> None:
    assert not any(column.contains(value) for column in FEATURES)


@settings(deadline=None)
@given(st.sampled_from(list(NUMBERS.values())), st.floats() | st.integers(-5, 1100).map(float))
def test_one_value_and_a_frame_are_checked_alike(column: Number, value: float) -> None:
    schema = pa.DataFrameSchema({column.name: column.pandera_column()})
    try:
        schema.validate(pd.DataFrame({column.name: [value]}))
    except pa.errors.SchemaError:
        assert not column.contains(value)
    else:
        assert column.contains(value)


def test_the_columns_need_no_data_library() -> None:
    script = "import sys, deposit.data.columns; print({'pandas', 'pandera', 'numpy', 'pyarrow'} & set(sys.modules))"
    path = str(REPOSITORY / "plugins")
    done = subprocess.run(
        [sys.executable, "-c", script], env={"PYTHONPATH": path}, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize(
    ("column", "text", "value"),
    [
        ("marital", "MARRIED", "married"),
        ("marital", "\u201cmarried\u201d\u00a0", "married"),
        ("marital", "\u200bmarried", "married"),
        ("job", "Admin", "admin."),
        ("job", "Blue Collar", "blue-collar"),
        ("education", "university_degree", "university.degree"),
        ("housing", "Unknown", "unknown"),
        ("housing", "TRUE", "yes"),
        ("housing", "N", "no"),
        ("month", "September", "sep"),
        ("month", "2010-05-03", "may"),
        ("month", "2010-12-03T00:00:00", "dec"),
        ("day_of_week", "Tuesday", "tue"),
    ],
)
def test_a_value_is_known_by_any_spelling(column: str, text: str, value: str) -> None:
    assert CATEGORIES[column].parse(text, decimal_comma=False) == value


@pytest.mark.parametrize(
    ("column", "text"),
    # codes of programs, words that may say no as well, another column's values, a day of another calendar
    [("housing", "1"), ("loan", "none"), ("default", "n/a"), ("month", "5"), ("month", "mon"), ("month", "03.05.2010"),
     ("day_of_week", "2"), ("marital", "-"), ("marital", ""), ("contact", "true")],
)  # fmt: skip
def test_what_may_mean_something_else_stays_as_it_is(column: str, text: str) -> None:
    assert CATEGORIES[column].parse(text, decimal_comma=False) == text
    assert not CATEGORIES[column].contains(text)


@pytest.mark.parametrize(
    ("text", "comma", "point"),
    [
        ("5,099.1", 5099.1, 5099.1),
        ("5.099,1", 5099.1, 5099.1),
        ("5 099", 5099, 5099),
        ("5\u202f099,1", 5099.1, 5099.1),
        ("5\u2019099.1", 5099.1, 5099.1),
        ("1.234.567,8", 1234567.8, 1234567.8),
        ("\u221246.2", -46.2, -46.2),
        ("5,099", 5.099, None),
        ("5.099", 5.099, 5.099),
        ("5.09,1", None, None),
        ("50,99.1", None, None),
        ("1.266%", None, None),
        ("1_000", None, None),
        ("\uff14\uff11", None, None),
    ],
)
def test_groups_of_digits_count_where_only_one_reading_is_left(
    text: str, comma: float | None, point: float | None
) -> None:
    assert (number(text, decimal_comma=True), number(text, decimal_comma=False)) == (comma, point)
