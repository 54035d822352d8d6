import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deposit.data.columns import FEATURES, NAMES, Category
from serving.bodies import parse_body
from serving.openapi import EXAMPLE_CUSTOMER
from serving.problems import SENT_TWICE, RequestError, problems_of
from serving.request_schemas import decode_request, rows

WHOLE = [column for column in FEATURES if not isinstance(column, Category) and column.integer]


def _body(**changed: str) -> bytes:
    """One customer, with these fields spelled so."""
    fields = {name: json.dumps(value) for name, value in EXAMPLE_CUSTOMER.items()} | changed
    return (
        f'{{"customers": [{{{", ".join(f"{json.dumps(name)}: {text}" for name, text in fields.items())}}}]}}'.encode()
    )


def _refused(body: bytes) -> RequestError:
    with pytest.raises(RequestError) as caught:
        parse_body(body, None, 10)
    msgspec.json.encode(caught.value.problems)
    return caught.value


@pytest.mark.parametrize(
    ("old", "new", "row", "field"),
    [
        ('"age": 41', '"age": 41, "age": 41', 0, "age"),
        ('"age": 41', '"age": 17, "\\u0061ge": 41', 0, "age"),
        ('"id": "customer-1"', '"id": null, "id": "a:null"', 0, "id"),
        ('"id": "customer-1"', '"id": "a\\u003a:null", "loan": "no"', 0, "loan"),
        ("}]", '}], "model": null, "model": null', None, "model"),
        ("}]", '}], "customers": []', None, "customers"),
        ("}]", '}], "customers": [{}]', None, "customers"),
    ],
)
def test_a_field_that_stands_twice_is_refused_by_name(old: str, new: str, row: int | None, field: str) -> None:
    body = _body().decode()
    assert body.count(old) == 1
    error = _refused(body.replace(old, new).encode())
    assert [(problem.row, problem.field, problem.message) for problem in error.problems] == [(row, field, SENT_TWICE)]
    assert error.status == 422


@pytest.mark.parametrize("id_", ["null", '"null: null"', '"a\\u003a"', '"a\\":"', '""', "7"])
@pytest.mark.parametrize("end", ["}]", '}], "model": null', '}], "model": "deposit-v1"', '}], "model": "a:null"'])
def test_texts_that_look_like_fields_are_none(id_: str, end: str) -> None:
    body = _body(id=id_).decode().replace("}]", end)
    assert parse_body(body.encode(), None, 10)[1].customers[0].id == json.loads(id_)


@pytest.mark.parametrize(
    ("name", "meant"), [("maritl", "marital"), ("Age", "age"), ("emp_var_rate", "emp.var.rate"), ("ID", "id")]
)
def test_an_unknown_field_is_answered_with_the_one_that_is_perhaps_meant(name: str, meant: str) -> None:
    (problem,) = problems_of({"customers": [{**EXAMPLE_CUSTOMER, name: 1}]})
    assert (problem.field, problem.message) == (name, f"unknown field; did you mean `{meant}`?")
    (problem,) = problems_of({"customers": [EXAMPLE_CUSTOMER], "modle": "deposit-v1"})
    assert problem.message == "unknown field; did you mean `model`?"
    (problem,) = problems_of({"customers": [{**EXAMPLE_CUSTOMER, "salary": 1}]})
    assert problem.message == "unknown field; see /docs.json for the fields"


@pytest.mark.parametrize("spelling", ["{0}", "{0}.0", "{0}.000", "{0}e0", "{1}e-1", "{0}.0E+0", "{1}.00e-1", "-0.0"])
@pytest.mark.parametrize("column", WHOLE, ids=lambda column: column.name)
def test_a_whole_number_may_be_written_in_any_way(column: Any, spelling: str) -> None:
    place = NAMES.index(column.name)
    for value in {0} & {column.low} if spelling == "-0.0" else {column.low, column.high}:
        (row,) = rows(parse_body(_body(**{column.name: spelling.format(value, 10 * value)}), None, 10)[1].customers)
        assert row[place] == value


@pytest.mark.parametrize(
    "text",
    ["41.5", "true", '"41"', "NaN", "-Infinity", "1e999", "null", "[]", "{}", "16.0", "111.0", "1.11e2", "9" * 30,
     "9" * 5000, "-" + "9" * 400, '"\\ud800"', '"\\u0000"', "[" * 900 + "]" * 900],
)  # fmt: skip
@pytest.mark.parametrize("column", WHOLE, ids=lambda column: column.name)
def test_what_is_no_whole_number_in_range_is_named(column: Any, text: str) -> None:
    if text in {"16.0", "41.5", "111.0", "1.11e2"}:
        text = {"16.0": f"{column.low - 1}.0", "41.5": f"{column.low}.5"}.get(text, f"{column.high + 1}.0")
    error = _refused(_body(**{column.name: text}))
    (problem,) = error.problems
    assert (error.status, problem.row, problem.field) == (422, 0, column.name)
    assert f"must be a whole number from {column.low} to {column.high}; got " in problem.message
    assert len(problem.message) < 120


@pytest.mark.parametrize(
    "text", ["7.0", "7e0", "1.5", "NaN", "true", "[]", str(2**63), "9" * 5000, '"\\ud800"', '"\\udc00\\ud800"']
)
def test_an_id_that_is_none_is_named(text: str) -> None:
    error = _refused(_body(id=text))
    (problem,) = error.problems
    assert (error.status, problem.row, problem.field) == (422, 0, "id")
    assert "must be an integer of 64 bits (7, not 7.0) or a string" in problem.message


@pytest.mark.parametrize(
    ("first", "again", "field"), [('"x"', "41", "age"), ("41", "[]", "age"), ("5", '"x"', "job"), ("[]", "5", "id")]
)
def test_a_refused_field_that_stands_twice_is_named(first: str, again: str, field: str) -> None:
    body = _body(**{field: first}).replace(b"}]}", f', "{field}": {again}}}]}}'.encode())
    (problem,) = _refused(body).problems
    assert (problem.row, problem.field, problem.message) == (0, field, "appears more than once; send it once")


@pytest.mark.parametrize("text", ["5", '"\\ud800"', "NaN", "[]"])
def test_a_model_that_is_none_is_named(text: str) -> None:
    (problem,) = _refused(_body().replace(b'{"customers"', b'{"model": %b, "customers"' % text.encode())).problems
    assert (problem.row, problem.field) == (None, "model")


@pytest.mark.parametrize("depth", range(900, 1010, 3))
def test_no_depth_is_too_much_for_an_answer(depth: int) -> None:
    assert _refused(_body(age="[" * depth + "]" * depth)).status in {400, 422}


PIECES = [
    b'"', b"\\", b"\\ud800", b"\xff", b"\xed\xa0\x80", b"NaN", b"-Infinity", b"1e999", b".0", b"e1", b"-", b"0", b",",
    b"{", b"}", b"[", b"]", b"null", b"true", b"\0", b"\\u0000", b"\x7f", b"\x1f", b" ", b"\n", b"9" * 30, b"41.5",
    b'"age": 5, ', b'"age": "x", ', b'"id": [], ', b'"\\u0061ge": [], ', b"//", b"\xef\xbb\xbf", b"1_0", b"\xa0",
]  # fmt: skip


@given(data=st.data())
def test_the_second_look_finds_what_the_decoder_refused(data: st.DataObject) -> None:
    body = _body(id=data.draw(st.sampled_from(["7", '"x"', '"ü"'])))
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(body)))
        end = start + data.draw(st.integers(0, 6))
        body = body[:start] + data.draw(st.sampled_from(PIECES)) + body[end:]
    try:
        # a byte order mark is taken off before
        decode_request(body.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.DecodeError, UnicodeDecodeError):
        error = _refused(body)
        assert "RFC" not in str(error)  # the words for what nobody can explain
        assert error.status == 400 or all(problem.message for problem in error.problems)


def test_what_the_decoder_takes_has_no_problem() -> None:
    assert problems_of(json.loads(_body(age="4.1e1", id='"\\u0000"'))) == []
