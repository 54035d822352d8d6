from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deposit.data.columns import FEATURES, NAMES, Category
from deposit.errors import DataError
from deposit.model.encoder import Encoder
from deposit.training.recipes import COLUMN_SETS, MACRO_FEATURES


def value(column):
    if isinstance(column, Category):
        return st.sampled_from(column.allowed)
    if column.integer:
        return st.integers(int(column.low), int(column.high))
    return st.floats(column.low, column.high)


ROW = st.tuples(*(value(column) for column in FEATURES))
ROWS = st.lists(ROW, min_size=1, max_size=20)


def by_column(rows) -> dict[str, list]:
    return {name: [row[place] for row in rows] for place, name in enumerate(NAMES)}


@given(training=ROWS, rows=ROWS, features=st.sampled_from(sorted(COLUMN_SETS)))
def test_rows_and_columns_encode_to_the_same_bits(training, rows, features) -> None:
    encoder = Encoder.fit(by_column(training), COLUMN_SETS[features])

    from_rows, from_columns = encoder.encode_rows(rows), encoder.encode_columns(by_column(rows))

    assert from_rows.dtype == np.float32
    assert from_rows.shape == (len(rows), len(encoder.names()))
    assert from_rows.tobytes() == from_columns.tobytes()
    assert encoder.encode_columns(pd.DataFrame(by_column(rows))).tobytes() == from_rows.tobytes()


@given(training=ROWS, rows=ROWS)
def test_json_keeps_every_bit(training, rows) -> None:
    encoder = Encoder.fit(by_column(training))

    again = Encoder.from_json(encoder.to_json())

    assert again == encoder
    assert again.encode_rows(rows).tobytes() == encoder.encode_rows(rows).tobytes()


@given(rows=ROWS)
def test_each_category_has_exactly_one_mark(rows) -> None:
    encoder = Encoder.fit(by_column(rows))
    matrix, names = encoder.encode_rows(rows), encoder.names()

    for column in FEATURES:
        if isinstance(column, Category):
            places = [names.index(f"{column.name}={allowed}") for allowed in column.allowed]
            assert (matrix[:, places].sum(axis=1) == 1).all()


def test_real_rows_are_standardised(sample) -> None:
    matrix = Encoder.fit(sample).encode_columns(sample)

    assert matrix[:, 0].mean() == pytest.approx(0, abs=1e-4)
    assert matrix[:, 0].std() == pytest.approx(1, abs=1e-4)


def test_many_rows_are_encoded_as_each_alone(sample) -> None:
    encoder, many = Encoder.fit(sample), sample[list(NAMES)].head(200).to_numpy(dtype=object).tolist()
    alone = [encoder.encode_rows([row]) for row in many]
    assert encoder.encode_rows(many).tobytes() == np.concatenate(alone).tobytes()


def test_a_constant_column_stays_finite(sample) -> None:
    constant = sample.assign(previous=0, **{"nr.employed": 5191.0})

    matrix = Encoder.fit(constant).encode_columns(constant)

    assert np.isfinite(matrix).all()


def test_the_customer_set_has_nothing_of_the_economy(sample) -> None:
    names = Encoder.fit(sample, COLUMN_SETS["no_macro"]).names()

    assert not [name for name in names if name.split("=")[0] in MACRO_FEATURES]


def test_duration_is_refused_by_name(sample) -> None:
    with pytest.raises(DataError, match="duration is known only after the call"):
        Encoder.fit(sample.assign(duration=1), (*NAMES, "duration"))


def test_unknown_columns_are_refused() -> None:
    with pytest.raises(DataError, match="unknown columns shoe_size"):
        Encoder(("age", "shoe_size"), {"age": 40.0}, {"age": 10.0})


@pytest.mark.parametrize(
    ("name", "wrong", "message"),
    [
        ("job", "astronaut", "row 1: job is 'astronaut', which is not one of admin."),
        ("job", ["a", "list"], "row 1: job is"),
        ("age", "forty", "row 1: age is 'forty', which is not a number"),
        ("age", None, "row 1: age is None, which is not a number"),
        ("euribor3m", float("nan"), "row 1: euribor3m is not a finite number"),
        ("euribor3m", float("inf"), "row 1: euribor3m is not a finite number"),
    ],
)
def test_a_wrong_value_is_named_with_row_and_column(sample, name, wrong, message) -> None:
    rows = sample[list(NAMES)].head(2).to_numpy(dtype=object).tolist()
    encoder = Encoder.fit(sample)
    rows[1][NAMES.index(name)] = wrong

    with pytest.raises(DataError, match=message):
        encoder.encode_rows(rows)


def test_a_wrong_value_in_a_column_is_named_with_its_row(sample) -> None:
    encoder = Encoder.fit(sample)
    job = sample["job"].tolist()
    job[7] = "astronaut"

    with pytest.raises(DataError, match="row 7: job is 'astronaut'"):
        encoder.encode_columns(sample.assign(job=job))
    with pytest.raises(DataError, match="row 0: age is 'old', which is not a number"):
        encoder.encode_columns(sample.assign(age="old"))


def test_a_short_row_is_refused(sample) -> None:
    with pytest.raises(DataError, match="row 0 has 3 values, 19 are needed"):
        Encoder.fit(sample).encode_rows([[1, 2, 3]])


def test_the_hot_path_needs_no_pandas() -> None:
    assert "pandas" not in (Path(__file__).parents[3] / "plugins/deposit/model/encoder.py").read_text()
