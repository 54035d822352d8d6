from pathlib import Path

import pytest

from deposit.data.contract import REQUIRED
from deposit.data.table import read
from deposit.data.violations import reasons
from deposit.errors import ContractError, SourceError

ROW = [str(number) for number in range(len(REQUIRED))]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "calls.csv"


def text_of(*rows: list[str], names: tuple[str, ...] = REQUIRED, sign: str = ";") -> str:
    return "\n".join(sign.join(row) for row in (names, *rows)) + "\n"


def test_rows_keep_their_line_and_get_their_number_as_id(path: Path) -> None:
    path.write_text(text_of(ROW, ROW, [], ROW))
    (chunk,) = read(path, "calls.csv")
    assert chunk.rows.index.tolist() == [2, 3, 5]
    assert chunk.rows["id"].tolist() == ["1", "2", "3"]
    assert chunk.rows.loc[2, list(REQUIRED)].tolist() == ROW


def test_an_own_id_is_kept(path: Path) -> None:
    path.write_text(text_of([*ROW, "77"], names=(*REQUIRED, "id")))
    (chunk,) = read(path, "calls.csv")
    assert chunk.rows["id"].tolist() == ["77"]


def test_chunks_go_on_with_lines_and_numbers(path: Path) -> None:
    path.write_text(text_of(*[ROW] * 5))
    chunks = list(read(path, "calls.csv", chunk_rows=2))
    assert [chunk.rows.index.tolist() for chunk in chunks] == [[2, 3], [4, 5], [6]]
    assert [chunk.rows["id"].tolist() for chunk in chunks] == [["1", "2"], ["3", "4"], ["5"]]


def test_rows_of_another_length_are_malformed_and_keep_all_their_fields(path: Path) -> None:
    path.write_text(text_of(ROW, ["a", "b"], [*ROW, "x", "y"], ROW))
    (chunk,) = read(path, "calls.csv")
    assert chunk.rows["id"].tolist() == ["1", "4"]
    assert reasons(chunk.violations) == {
        3: "2 fields: 20 separated by `;` are expected",
        4: "22 fields: 20 separated by `;` are expected",
    }
    assert {violation.rule for violation in chunk.violations} == {"fields"}
    assert chunk.malformed.loc[3, list(REQUIRED[:3])].tolist() == ["a", "b", ""]
    assert chunk.malformed.loc[4, "y"] == "19;x;y"


def test_a_quoted_line_break_does_not_shift_the_lines_below(path: Path) -> None:
    path.write_text(text_of(['"a\nb"', *ROW[1:]], ROW))
    (chunk,) = read(path, "calls.csv")
    assert chunk.rows.index.tolist() == [2, 4]


@pytest.mark.parametrize("sign", [";", ",", "\t", "|"])
def test_separators_are_known(path: Path, sign: str) -> None:
    path.write_text(text_of(ROW, sign=sign))
    (chunk,) = read(path, "calls.csv")
    assert chunk.rows["y"].tolist() == [ROW[-1]]
    assert chunk.decimal_comma == (sign != ",")


@pytest.mark.parametrize(("sign", "named"), [(":", "`:`"), (" ", "spaces"), ("^", "`^`")])
def test_another_separator_is_named(path: Path, sign: str, named: str) -> None:
    path.write_text(f"sep={sign}\n{text_of(ROW, sign=sign)}")
    with pytest.raises(ContractError) as caught:
        list(read(path, "calls.csv"))
    assert (
        str(caught.value)
        == f"calls.csv: the columns are separated by {named}: save the file with `;`, `,`, `|` or tabs"
    )


HEAD = text_of()
LINE = text_of(ROW).removeprefix(HEAD)


@pytest.mark.parametrize(
    ("form", "text", "line"),
    [
        ("titles", "Calls of 2010\n\nfrom: CRM;2010-11-01\n" + HEAD + LINE, 5),
        ("remark", "# exported\n" + HEAD + LINE, 3),
        ("groups called like columns", ";client;;;contact;;campaign;;economy\n" + HEAD + LINE, 3),
        ("another separator stated", "sep=,\n" + HEAD + LINE, 3),
        ("separators at all ends", HEAD.replace("\n", ";\n") + LINE.replace("\n", ";\n"), 2),
        ("separators at the rows' ends", HEAD + LINE.replace("\n", ";\n"), 2),
        ("a separator at the header's end", HEAD.replace("\n", ";\n") + LINE, 2),
        ("an index without a name", ";" + HEAD + "0;" + LINE, 2),
        ("quotes of typography", "\u201c" + HEAD.strip().replace(";", "\u201d;\u201c") + "\u201d\n" + LINE, 2),
        ("invisible characters", "\u200b" + HEAD.replace(";", "\u00a0;\u200b") + LINE, 2),
    ],
)
def test_the_columns_are_known_below_titles_and_beside_what_has_no_name(
    path: Path, form: str, text: str, line: int
) -> None:
    path.write_text(text, encoding="utf-8")
    (chunk,) = read(path, "calls.csv")
    assert chunk.rows[list(REQUIRED)].loc[line].tolist() == ROW
    assert list(chunk.rows.columns) == ["id", *REQUIRED]
    assert not chunk.violations


def test_lines_in_quotes_as_a_whole_are_refused(path: Path) -> None:
    path.write_text("".join(f'"{line}"\n' for line in (HEAD + LINE).splitlines()))
    with pytest.raises(ContractError, match=r"^calls.csv: line 1 is one quoted cell that holds all columns"):
        list(read(path, "calls.csv"))


def test_an_open_quote_is_reported_with_its_line(path: Path) -> None:
    path.write_text(text_of(ROW) + '"' + ";".join(ROW) + "\n")
    with pytest.raises(SourceError, match=r"^calls.csv: a quote that opens on line 3 never closes"):
        list(read(path, "calls.csv"))
    path.write_text(text_of(ROW) + '"' + text_of(ROW) * 10_000)
    with pytest.raises(SourceError, match=r"^calls.csv: a quote that opens on line 3 .*rows of their own"):
        list(read(path, "calls.csv"))


def test_a_last_row_that_is_short_and_has_no_line_end_was_cut_off(path: Path) -> None:
    path.write_text(text_of(ROW, ROW)[:-9])
    with pytest.raises(ContractError, match=r"line 3: 1\d fields: 20 .*the file was cut off"):
        list(read(path, "calls.csv"))


def test_bytes_that_are_not_utf8_are_told_by_line_and_byte_far_into_the_file(path: Path) -> None:
    path.write_bytes(text_of(*[ROW] * 5000).encode() + b"ab\xff;")
    with pytest.raises(SourceError, match=r"line 5002, byte 3 \(0xff\) is not UTF-8: save the file as UTF-8"):
        list(read(path, "calls.csv"))
