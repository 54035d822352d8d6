import csv
import io
from contextlib import suppress

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import csv as arrow

from deposit.data.tables import records
from deposit.data.tables.header import Header
from deposit.data.tables.records import Records, find_records
from deposit.errors import SourceError

many = settings(max_examples=400, deadline=None)


def rows_in(text: str, width: int = 3, separator: str = ";") -> tuple[Records, io.BytesIO]:
    file = io.BytesIO(text.encode())
    return find_records(file, Header(separator, ("x",) * width, (None,) * width, line=0, end=0)), file


def refusal(text: str, width: int = 3) -> str:
    with pytest.raises(SourceError) as caught:
        rows_in(text, width)
    return str(caught.value)


def test_rows_have_their_lines_and_bytes_whatever_ends_them() -> None:
    rows, file = rows_in("a;b;c\nd;é;f\r\n\r\n\ng;h;i\rj;k;l")
    assert rows.lines.tolist() == [1, 2, 5, 6]
    assert rows.texts(file, 0, len(rows)) == ["a;b;c", "d;é;f", "g;h;i", "j;k;l"]
    assert rows.cut
    assert not rows_in("a;b;c\r")[0].cut


def test_a_line_end_in_a_quoted_cell_is_legal_and_counted() -> None:
    rows, file = rows_in('a;"b\r\nb ""x""\nb";c\nd;e;f\n')
    assert rows.lines.tolist() == [1, 4]
    assert rows.texts(file, 0, 1) == ['a;"b\r\nb ""x""\nb";c']


def test_a_quote_inside_a_cell_opens_nothing() -> None:
    assert len(rows_in('a;5" pipe;c\nd;say "hi";f\ng;h";"i"\n')[0]) == 3


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('1;2;"3\n4;5;6\n', 1),
        ('1;2;3\n4;"5;6\n7;8;9\n', 2),
        ('"1;2;3\n' * 1, 1),
    ],
)
def test_a_quote_that_never_closes_is_refused_with_its_line(text: str, line: int) -> None:
    assert refusal(text) == f"a quote that opens on line {line} never closes: correct that line"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('1;2;3\n4;5;"called\n7;8;9\n1;2;sent"\n4;5;6\n', 2),  # the same column: as many cells as a row has
        ('1;2;"called\n4;5;sent"\n', 1),
        ('1;"2;3\n4;5;6\n7;8;9"\n', 1),  # another column: too few cells
        ('1;2;"3\n4;5";6\n', 1),
        ('1;2;3\n"4;5;6\n' + "7;8;9\n" * 50_000, 2),  # more than any cell holds
    ],
)
def test_a_quote_that_takes_in_rows_is_refused_with_its_line(text: str, line: int) -> None:
    assert refusal(text).startswith(f"a quote that opens on line {line} closes further down, and the lines between")


def test_lines_longer_than_any_table_s_are_refused() -> None:
    assert "line 2 is longer than 16 MiB" in refusal("1;2;3\n" + "x" * (21 * 2**20))


def holds_anything(row: list[str]) -> bool:
    return bool("".join(row).strip(' ;"'))


@pytest.mark.parametrize("blank", [";;", '"";"";""', " ; ; ", "\t", "\x1a"])
def test_a_row_of_separators_alone_is_blank_and_counts_as_a_line(blank: str) -> None:
    found, file = rows_in(f"a;b;c\n{blank}\nd;;\n{blank}")
    assert found.texts(file, 0, len(found)) == ["a;b;c", "d;;"]
    assert found.lines.tolist() == [1, 3]
    assert not found.cut


pieces = st.sampled_from(["a", "é", ";", '"', '""', "\n", "\r", "\r\n", " ", ";;"])


@pytest.mark.parametrize("chunk", [1, 3, 1000])
@many
@given(text=st.lists(pieces, max_size=20).map("".join))
def test_rows_are_those_of_python_s_csv_or_the_file_is_refused(chunk: int, text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(records, "_CHUNK", chunk)
        try:
            rows, file = rows_in(text, width=2)
        except SourceError:
            return
    expected = csv.reader(io.StringIO(text, newline=""), delimiter=";")
    seen = [next(csv.reader([row], delimiter=";")) for row in rows.texts(file, 0, len(rows))]
    assert [row for row in seen if holds_anything(row)] == [row for row in expected if holds_anything(row)]


cell = st.text(st.sampled_from('aé ;"\n,'), max_size=6)  # Python writes a lone CR without quotes
filled = st.lists(cell, min_size=3, max_size=3).filter(lambda row: bool("".join(row).strip(' ;"')))
table = st.lists(filled, min_size=1, max_size=6)


@many
@given(rows=table, quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]), end=st.sampled_from(["\n", "\r\n"]))
def test_what_a_spreadsheet_writes_is_read_back_by_arrow_row_for_row(
    rows: list[list[str]], quoting: int, end: str
) -> None:
    written = io.StringIO(newline="")
    csv.writer(written, delimiter=";", quoting=quoting, lineterminator=end).writerows(rows)
    try:
        records, file = rows_in(written.getvalue())
    except SourceError:
        # as many separators in cells as rows have, for each line end in them
        assert any("".join(row).count(";") >= 2 * "".join(row).count("\n") > 0 for row in rows)
        return
    assert len(records) == len(rows)
    (content,) = [records.span(file, 0, len(records))]
    options = arrow.ReadOptions(column_names=["a", "b", "c"], use_threads=False)
    parsed = arrow.read_csv(
        pa.BufferReader(content),
        options,
        arrow.ParseOptions(delimiter=";", newlines_in_values=True),
        arrow.ConvertOptions(column_types=dict.fromkeys("abc", pa.string()), strings_can_be_null=False),
    )
    assert [list(row.values()) for row in parsed.to_pylist()] == rows


@many
@given(
    lines=st.lists(st.sampled_from(["1;2;3", '"1";"2";"3"', '1;"a b";x']), min_size=2, max_size=30),
    stray=st.data(),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_stray_quotes_swallow_nothing(lines: list[str], stray: st.DataObject, end: str) -> None:
    for _ in range(stray.draw(st.integers(1, 3))):
        line = stray.draw(st.integers(0, len(lines) - 1))
        place = stray.draw(st.integers(0, len(lines[line])))
        lines[line] = lines[line][:place] + '"' + lines[line][place:]
    with suppress(SourceError):  # which names the line of the quote
        rows, _ = rows_in(end.join(lines) + end)
        assert rows.lines.tolist() == list(range(1, len(lines) + 1))
