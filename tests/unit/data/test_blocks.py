import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from deposit.data.blocks import check_table
from deposit.data.coded import CodedTexts
from deposit.data.columns import CATEGORIES, NAMES
from deposit.data.readings import Reading
from deposit.model.encoder import Encoder


@pytest.fixture(scope="module")
def rows(history: pd.DataFrame) -> pd.DataFrame:
    return history[list(NAMES)].astype(dict.fromkeys(CATEGORIES, object)).head(300)


def _table(rows: pd.DataFrame, kind: str) -> pa.Table:
    if kind == "text":
        return pa.Table.from_pandas(rows.astype(str), preserve_index=False)
    if kind == "coded":
        return pa.Table.from_pandas(rows.astype(dict.fromkeys(CATEGORIES, "category")), preserve_index=False)
    if kind == "chunked":
        parts = [pa.Table.from_pandas(part, preserve_index=False) for part in (rows.iloc[:100], rows.iloc[100:])]
        return pa.concat_tables(parts)
    table = pa.Table.from_pandas(rows, preserve_index=False)
    narrow = {"int64": pa.int16(), "string": pa.large_string(), "large_string": pa.binary()}
    types = [pa.field(field.name, narrow.get(str(field.type), field.type)) for field in table.schema]
    return table.cast(pa.schema(types))


@pytest.mark.parametrize("kind", ["text", "coded", "chunked", "narrow"])
def test_rows_of_any_types_are_encoded_as_the_service_encodes_them(rows: pd.DataFrame, kind: str) -> None:
    encoder = Encoder.fit(rows)
    block = check_table(_table(rows, kind), np.arange(len(rows)))
    assert block.rejected == []
    expected = encoder.encode_rows(rows.to_numpy(dtype=object).tolist())
    assert (encoder.encode_columns(block.columns) == expected).all()


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("age", 41.5, "age must be a whole number from 17 to 110; got '41.5'"),
        ("age", None, "age is empty: must be a whole number from 17 to 110"),
        ("pdays", -1, "pdays must be a whole number from 0 to 999; got '-1'"),
        ("euribor3m", float("inf"), "euribor3m must be a number from -5 to 20; got 'inf'"),
        ("contact", None, "contact is empty: must be one of cellular, telephone"),
        ("contact", "Cell", "contact must be one of cellular, telephone; got 'Cell'"),
    ],
)
def test_a_wrong_value_is_rejected_with_its_reason(rows: pd.DataFrame, column: str, value: object, reason: str) -> None:
    values = rows[column].head(4).tolist()
    table = pa.Table.from_pandas(rows.head(4), preserve_index=False)
    changed = pa.array([*values[:2], value, values[3]], from_pandas=False)
    table = table.set_column(table.schema.get_field_index(column), column, changed)
    block = check_table(table, np.arange(10, 14))
    assert [(bad.record, bad.reason) for bad in block.rejected] == [(12, reason)]
    assert block.records.tolist() == [10, 11, 13]
    assert all(len(each) == 3 for each in block.columns.values())


def test_what_was_read_by_its_spelling_is_named(rows: pd.DataFrame) -> None:
    months, employed = ["May", " may ", "2010-05-03", "Mai", "May", "May"], ["5 099,1"] * 2 + ["5099,1"] * 4
    jobs = ["Retired", *["retired"] * 4, "jester"]
    changed = rows.head(6).astype({"nr.employed": str}).assign(month=months, job=jobs, **{"nr.employed": employed})
    block = check_table(pa.Table.from_pandas(changed, preserve_index=False), np.arange(6), decimal_comma=True)
    # of rejected rows no cell counts
    assert block.readings == (
        Reading("job", "Retired", "retired", 1),
        Reading("month", "May", "may", 2),
        Reading("month", "2010-05-03", "may", 1),
        Reading("nr.employed", "5 099,1", "5099.1", 2),
    )
    assert block.columns["month"][0] == "may"
    assert [bad.record for bad in block.rejected] == [3, 5]


def test_coded_texts_are_what_they_stand_for() -> None:
    texts = CodedTexts(("no", "yes"), np.array([1, 0, 1], np.int32))
    assert (len(texts), texts[0], list(np.asarray(texts[1:])), list(np.asarray(texts))) == (
        3, "yes", ["no", "yes"], ["yes", "no", "yes"]
    )  # fmt: skip
    assert list(np.asarray(texts[np.array([True, False, True])])) == ["yes", "yes"]
    assert pa.array(texts).to_pylist() == ["yes", "no", "yes"]
