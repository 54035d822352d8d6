from deposit.data.tables.dialect import Dialect, FilesOfDialect, counted, dialect_of
from deposit.data.tables.header import Header


def header(separator: str) -> Header:
    return Header(separator, ("age",), ("age",), 2, 9)


def test_a_dialect_has_the_usual_names() -> None:
    assert dialect_of(header("\t"), "cp1252") == Dialect("windows-1252", "tab", 2)
    assert dialect_of(header(";"), "iso8859-2") == Dialect("iso-8859-2", "semicolon", 2)
    assert dialect_of(header("|"), "cp850") == Dialect("cp850", "bar", 2)
    assert dialect_of(header(";"), None) == Dialect(None, None, 2)
    assert (
        str(dialect_of(header(","), "utf-8"))
        == "read as utf-8, with a comma between cells, with the column names in line 2"
    )
    assert str(dialect_of(header(","), None)) == "read with the column names in line 2"


def test_files_are_counted_by_dialect_and_counts_add_up() -> None:
    some, other = Dialect("utf-8", "comma", 1), Dialect(None, None, 3)
    first = counted([some, other, some])
    assert first == (FilesOfDialect("utf-8", "comma", 1, 2), FilesOfDialect(None, None, 3, 1))
    assert counted([*first, other, other]) == (
        FilesOfDialect(None, None, 3, 3),
        FilesOfDialect("utf-8", "comma", 1, 2),
    )
