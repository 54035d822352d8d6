"""`POST /rank` of lists as they lie around: every line is ranked or named, and what comes back is what was sent."""

import csv
import gzip
import io
import json
import lzma
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from ranking import RankService
from workbooks import workbook

from deposit.data.columns import NAMES
from deposit.model.artifact import ModelArtifact
from deposit.settings import Settings
from serving.application import Application

ACCENTS = ["Jürgen 1", "José-2", "Łódź", "Иван", "a;b", 'q"q', "x"]


@pytest.fixture(scope="module")
def service(
    make_model: Callable[..., ModelArtifact],
    make_application: Callable[[Settings, Path], Application],
    tmp_path_factory: pytest.TempPathFactory,
) -> RankService:
    folder = tmp_path_factory.mktemp("ranked")
    make_model(folder / "model", version=7)
    settings = Settings(state_dir=folder / "state").changed("serve", max_rank_bytes=2**20)
    return RankService(make_application(settings, folder / "model"), settings)


@pytest.fixture
def few(customers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """So few that Hypothesis can show them."""
    return customers[:8]


def table(customers: list[dict[str, Any]], **options: Any) -> str:
    rows = [{"id": f"K{number}", **customer, "note": "called"} for number, customer in enumerate(customers)]
    return pd.DataFrame(rows).to_csv(index=False, **{"sep": ";", **options})


def message(response: Any) -> str:
    return str(response.json()["detail"][0]["message"])


@pytest.mark.parametrize(
    ("form", "pack"),
    [
        ("sep line", lambda text: b"sep=;\r\n" + text),
        ("CR", lambda text: text.replace(b"\n", b"\r")),
        ("gzip", gzip.compress),
        ("xz", lzma.compress),
        ("utf-16", lambda text: text.decode().replace(";", "\t").encode("utf-16")),
        ("mark", lambda text: b"\xef\xbb\xbf" + text),
        ("blank first lines", lambda text: b"\n\r\n" + text),
    ],
)
def test_a_list_is_read_in_every_form(
    service: RankService, customers: list[dict[str, Any]], form: str, pack: Callable[[bytes], bytes]
) -> None:
    answer = service.rank(pack(table(customers[:9]).encode())).raise_for_status().json()
    assert {row["id"] for row in answer["ranked"]} == {f"K{number}" for number in range(9)}
    assert answer["rejected"] == 0


def test_parquet_and_zip_are_read(service: RankService, customers: list[dict[str, Any]]) -> None:
    frame = pd.DataFrame(customers[:9]).assign(id=range(9))
    frame["job"] = frame["job"].astype("category")
    buffer, archive = io.BytesIO(), io.BytesIO()
    frame.to_parquet(buffer)
    with zipfile.ZipFile(archive, "w") as made:
        made.writestr("list.parquet", buffer.getvalue())
    for content in (buffer.getvalue(), archive.getvalue()):
        answer = service.rank(content).raise_for_status().json()
        assert {row["id"] for row in answer["ranked"]} == {str(number) for number in range(9)}


def test_a_file_that_unpacks_to_more_than_is_taken_is_refused(service: RankService) -> None:
    response = service.rank(gzip.compress(b"x" * (2**20 + 1)))
    assert response.status_code == 413
    assert "unpacked" in message(response)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"%PDF-1.7", "this is a PDF"),
        (b"<html><body>sign in</body></html>", "this is a web page"),
        (b'{"customers": []}', "this is JSON"),
        (b"BZh91AY", "this is a .bz2 file, not a CSV: unpack it"),
    ],
)
def test_what_is_not_read_is_called_by_its_name(service: RankService, content: bytes, words: str) -> None:
    response = service.rank(content)
    assert response.status_code == 422
    assert words in message(response)


def test_a_quote_that_takes_in_customers_is_refused_with_its_line(
    service: RankService, customers: list[dict[str, Any]]
) -> None:
    lines = table(customers[:20]).splitlines()
    lines[3] = lines[3].replace(";called", ';"called twice')
    lines[9] = lines[9].replace(";called", ';flyer sent"')
    response = service.rank("\n".join(lines) + "\n")
    assert response.status_code == 422
    assert message(response).startswith("a quote that opens on line 4 closes further down")


def test_quotes_inside_cells_and_line_ends_in_quotes_stay_legal(
    service: RankService, customers: list[dict[str, Any]]
) -> None:
    lines = table(customers[:5]).splitlines()
    lines[1] = lines[1].replace(";called", ';asked for a 5" pipe; twice'.replace("; ", ", "))
    lines[2] = lines[2].replace(";called", ';"first line\nsecond; line"')
    response = service.rank("\n".join(lines) + "\n", headers={"Accept": "text/csv"})
    rows = list(csv.DictReader(io.StringIO(response.text, newline=""), delimiter=";"))
    assert {row["note"] for row in rows} == {'asked for a 5" pipe, twice', "first line\nsecond; line", "called"}
    assert len(rows) == 5


def test_a_last_line_that_is_short_and_has_no_end_was_cut_off(
    service: RankService, customers: list[dict[str, Any]]
) -> None:
    answer = service.rank(table(customers[:5])[:-30]).json()
    assert answer["rows"] == 4
    assert answer["rejected_rows"][0]["line"] == 6
    assert answer["rejected_rows"][0]["reason"].endswith("and no line end: the file was cut off here")


@pytest.mark.parametrize(
    ("charset", "ids"),
    [
        ("windows-1250", ["Łódź", "Žižkov"]),
        ("WINDOWS-1251", ["Иван", "Анна"]),
        ("windows-1252", ["Jürgen", "José €"]),
        ('"iso-8859-2"', ["Łódź", "Žižkov"]),
        ("utf-16", ["Łódź", "Иван"]),
    ],
)
def test_a_stated_charset_is_honoured(
    service: RankService, customers: list[dict[str, Any]], charset: str, ids: list[str]
) -> None:
    rows = [{"id": id_, **customer} for id_, customer in zip(ids, customers, strict=False)]
    content = pd.DataFrame(rows).to_csv(index=False).encode(charset.strip('"'))
    kinds = {"Content-Type": f"text/csv; charset={charset}"}
    bare = service.post(content=content, headers=kinds).raise_for_status().json()
    part = service.post(files={"file": ("list.csv", content, kinds["Content-Type"])}).raise_for_status().json()
    field = service.rank(content, charset=charset.strip('"')).raise_for_status().json()
    for answer in (bare, part, field):
        assert {row["id"] for row in answer["ranked"]} == set(ids)


def test_an_unknown_charset_is_refused(service: RankService, customers: list[dict[str, Any]]) -> None:
    response = service.rank(table(customers[:2]), charset="klingon")
    assert response.status_code == 415
    assert "klingon" in message(response)


def test_no_letter_is_guessed(service: RankService, customers: list[dict[str, Any]]) -> None:
    lines = table(customers[:3]).replace("K0", "Jürgen").encode().splitlines()
    lines[2] = lines[2].replace(b"K1", "José".encode("cp1252"))
    for content in (b"\n".join(lines), b"\n".join([lines[0], b"", lines[2]])):
        response = service.rank(content)
        assert response.status_code == 422
        assert message(response).startswith("line 3, byte 4 (0xe9) is not UTF-8: save the file as UTF-8, or state")


many = examples(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


rows_of = st.lists(
    st.tuples(st.sampled_from(ACCENTS), st.sampled_from(["", "a, b; c", 'say "hi"', "two\nlines"]), st.booleans()),
    min_size=1,
    max_size=8,
)


@many
@given(
    sent=rows_of,
    order=st.permutations(["id", "note", *NAMES]),
    separator=st.sampled_from([";", ",", "\t"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    charset=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_every_line_is_ranked_or_rejected_and_ids_come_back_as_sent(
    service: RankService,
    few: list[dict[str, Any]],
    sent: list[tuple[str, str, bool]],
    order: list[str],
    separator: str,
    quoting: int,
    end: str,
    charset: str,
) -> None:
    rows = [
        {**customer, "id": id_, "note": note.replace("\n", end), "age": "old" if bad else customer["age"]}
        for (id_, note, bad), customer in zip(sent, few, strict=False)
    ]
    content = pd.DataFrame(rows)[order].to_csv(index=False, sep=separator, quoting=quoting, lineterminator=end)
    response = service.rank(content.encode(charset))
    good = sorted(id_ for id_, _, bad in sent if not bad)
    if not good:
        assert response.status_code == 422
        return
    answer = response.raise_for_status().json()
    assert answer["rows"] + answer["rejected"] == len(sent)
    assert sorted(row["id"] for row in answer["ranked"]) == good


@many
@given(data=st.data())
def test_stray_quotes_swallow_no_customer(service: RankService, few: list[dict[str, Any]], data: st.DataObject) -> None:
    lines = table(few[:6], quoting=data.draw(st.sampled_from([csv.QUOTE_NONE, csv.QUOTE_ALL]))).splitlines()
    for _ in range(data.draw(st.integers(1, 3))):
        line = data.draw(st.integers(1, len(lines) - 1))
        place = data.draw(st.integers(0, len(lines[line])))
        lines[line] = lines[line][:place] + '"' + lines[line][place:]
    response = service.rank("\n".join(lines) + "\n")
    if response.status_code == 200:
        assert response.json()["rows"] + response.json()["rejected"] == 6
    else:
        assert response.status_code == 422
        assert "line " in message(response)


def test_what_was_read_by_its_spelling_scores_the_same_and_is_named(
    service: RankService, few: list[dict[str, Any]]
) -> None:
    plain = service.rank(table(few)).raise_for_status().json()
    spelled = [{**customer, "marital": customer["marital"].upper()} for customer in few]
    answer = service.rank("Calls\n\n" + table(spelled)).raise_for_status().json()
    assert [(row["id"], row["probability"]) for row in answer["ranked"]] == [
        (row["id"], row["probability"]) for row in plain["ranked"]
    ]
    assert (plain["readings"], plain["header_line"], answer["header_line"]) == ([], 1, 3)
    kinds = Counter(customer["marital"] for customer in few)
    assert answer["readings"] == [
        {"column": "marital", "text": kind.upper(), "value": kind, "cells": cells}
        for kind, cells in kinds.most_common()
    ]
    in_csv = service.rank("Calls\n\n" + table(spelled), headers={"Accept": "text/csv"}).raise_for_status()
    assert json.loads(in_csv.headers["x-readings"]) == answer["readings"]
    assert in_csv.headers["x-header-line"] == "3"


@pytest.mark.parametrize(
    ("separator", "codec", "stated", "charset", "word"),
    [
        (";", "utf-8", "", "utf-8", "semicolon"),
        (",", "cp1252", "latin-1", "iso-8859-1", "comma"),
        ("\t", "utf-16", "", "utf-16", "tab"),
        ("\t", "cp1250", "Windows-1250", "windows-1250", "tab"),
    ],
)
def test_charset_and_separator_are_returned_whether_stated_or_not(
    service: RankService, few: list[dict[str, Any]], separator: str, codec: str, stated: str, charset: str, word: str
) -> None:
    content = table(few, sep=separator).encode(codec)
    answer = service.rank(content, charset=stated).raise_for_status().json()
    assert (answer["charset"], answer["separator"], answer["header_line"]) == (charset, word, 1)
    in_csv = service.rank(content, headers={"Accept": "text/csv"}, charset=stated).raise_for_status()
    assert (in_csv.headers["x-charset"], in_csv.headers["x-separator"]) == (charset, word)


def test_parquet_and_workbooks_have_no_charset_and_no_separator(
    service: RankService, few: list[dict[str, Any]]
) -> None:
    buffer = io.BytesIO()
    pd.DataFrame(few).to_parquet(buffer)
    sheet = workbook([list(few[0]), *([*row.values()] for row in few)], first_row=2)
    for content, line in ((buffer.getvalue(), 1), (sheet, 3)):
        answer = service.rank(content).raise_for_status().json()
        assert (answer["charset"], answer["separator"], answer["header_line"]) == (None, None, line)
        in_csv = service.rank(content, headers={"Accept": "text/csv"}).raise_for_status()
        assert not {"x-charset", "x-separator"} & set(in_csv.headers)


def test_headers_of_a_file_stay_short_and_plain_whatever_the_list_holds(
    service: RankService, few: list[dict[str, Any]]
) -> None:
    def dated(number: int) -> str:
        return f"2010-05-{number % 28 + 1:02} {number // 60:02}:{number % 60:02}"

    rows = [
        {**few[number % 8], "month": dated(number), "marital": f"{'​' * number}Married", "x" * 500 + "\x01é": 1}
        for number in range(300)
    ]
    rows = [{f"column {number} {'x' * 90}": 1 for number in range(100)} | row for row in rows]
    answer = service.rank(table(rows), headers={"Accept": "text/csv"}).raise_for_status()
    readings = json.loads(answer.headers["x-readings"])
    assert sum(each["cells"] for each in readings if each["column"] == "month") == 300
    assert all(len(value) < 7000 and value.isprintable() and value.isascii() for value in answer.headers.values())
