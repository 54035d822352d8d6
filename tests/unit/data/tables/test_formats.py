import bz2
import gzip
import lzma
import pickle
import sqlite3
import tarfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import orc

from deposit.data.tables.formats import HEAD_BYTES, Format, sniff

FRAME = pd.DataFrame({"age": [1, 2]})


def database(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE calls (age)")
    connection.commit()
    connection.close()


def tar(path: Path) -> None:
    (path.parent / "a.csv").write_text("age\n1\n")
    with tarfile.open(path, "w") as archive:
        archive.add(path.parent / "a.csv", "a.csv")


REAL: dict[Format, Callable[[Path], object]] = {
    Format.GZIP: lambda path: path.write_bytes(gzip.compress(b"age\n")),
    Format.XZ: lambda path: path.write_bytes(lzma.compress(b"age\n")),
    Format.BZIP2: lambda path: path.write_bytes(bz2.compress(b"age\n")),
    Format.ZSTD: lambda path: path.write_bytes(pa.compress(b"age\n", "zstd", asbytes=True)),
    Format.PARQUET: FRAME.to_parquet,
    Format.ARROW: FRAME.to_feather,
    Format.ORC: lambda path: orc.write_table(pa.table({"age": [1]}), str(path)),
    Format.PICKLE: lambda path: path.write_bytes(pickle.dumps(FRAME)),
    Format.SQLITE: database,
    Format.TAR: tar,
    Format.JSON: lambda path: FRAME.to_json(path),
    Format.HTML: lambda path: FRAME.to_html(path),
    Format.TEXT: lambda path: FRAME.to_csv(path),
}


@pytest.mark.parametrize("kind", REAL)
def test_a_file_is_known_by_what_real_writers_put_first(tmp_path: Path, kind: Format) -> None:
    path = tmp_path / "calls.csv"
    REAL[kind](path)
    assert sniff(path.read_bytes()[:HEAD_BYTES]) is kind


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\xef\xbb\xbf<!DOCTYPE html>", Format.HTML),
        (b"<?xml version='1.0'?>", Format.XML),
        (b"%PDF-1.7", Format.PDF),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Format.OLD_WORKBOOK),
        ("age;job".encode("utf-16"), Format.TEXT),
        (b"<5;>6\n", Format.TEXT),
    ],
)
def test_others_by_their_magic(head: bytes, kind: Format) -> None:
    assert sniff(head) is kind


def test_every_kind_that_is_not_read_says_what_to_do() -> None:
    assert all(kind.title and kind.advice for kind in Format if kind not in (Format.TEXT, Format.WORKBOOK))
