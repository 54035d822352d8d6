import csv
import gzip
import io
import lzma
import os
import signal
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from messages import refuses
from sqlalchemy import create_engine, select, text
from workbooks import workbook

from deposit.data import dataset
from deposit.data.ingest import IngestResult, ingest
from deposit.data.readings import Reading
from deposit.data.sources import BUNDLED
from deposit.data.tables.dialect import Dialect
from deposit.database import connect
from deposit.errors import ConfigError, ContractError, DepositError, IntegrityError, SourceError, UpstreamError
from deposit.sections import DatabaseSettings, IngestSettings
from deposit.settings import Settings
from deposit.store import ObjectStore
from deposit.tables import datasets, rejects

pytestmark = pytest.mark.servers
LINES = lzma.decompress(BUNDLED.read_bytes()).decode().splitlines()
HEADER, ROWS = LINES[0], LINES[1:]


def archive(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in files.items():
            made.writestr(name, content)
    return buffer.getvalue()


def no_workbook() -> bytes:
    return archive(**{"[Content_Types].xml": b"<Types/>", "xl/workbook.xml": b"<workbook/>"})


def plain(rows: list[str]) -> list[str]:
    return [row.replace('"', "") for row in rows]


@pytest.fixture
def csv_file(tmp_path: Path) -> Path:
    path = tmp_path / "calls.csv"
    path.write_text("\n".join([HEADER, *ROWS[:500]]) + "\n")
    return path


def of(settings: Settings, **changes: Any) -> Settings:
    return settings.model_copy(update={"ingest": IngestSettings(**changes)})


def of_text(settings: Settings, path: Path, content: str | bytes, **changes: Any) -> Settings:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return of(settings, source="file", path=path, **changes)


def rows_of(settings: Settings, table: Any) -> list[dict[str, Any]]:
    engine = connect(settings.database)
    with engine.connect() as connection:
        rows = [dict(row) for row in connection.execute(select(table)).mappings()]
    engine.dispose()
    return rows


def published(settings: Settings) -> list[str]:
    versions = dataset.versions(ObjectStore(settings.store).data)
    return [manifest.version for manifest in versions]


def refused(settings: Settings, error: type[DepositError], match: str) -> None:
    with refuses(error, match):
        ingest(settings)
    assert published(settings) == []
    assert rows_of(settings, datasets) == []


def test_the_original_becomes_one_version_of_26_months(servers: Settings) -> None:
    first, second = ingest(servers), ingest(servers)
    assert (first.created, second.created) == (True, False)
    assert first.version == second.version
    assert published(servers) == [first.version]
    assert (first.rows, first.rejected, first.quarantine_uri, first.readings) == (41_188, 0, None, ())
    assert (first.first_period, first.last_period) == ("2008-05", "2010-11")
    (row,) = rows_of(servers, datasets)
    assert (row["version"], row["rows"], row["uri"]) == (first.version, 41_188, first.uri)
    manifest = dataset.manifest(ObjectStore(servers.store).data, first.version)
    assert len(manifest.files) == 26
    assert sum(part.rows for part in manifest.files) == 41_188


def test_the_rows_come_back_as_they_were_without_duration(servers: Settings) -> None:
    result = ingest(servers)
    frame = dataset.load(ObjectStore(servers.store).data, result.version)
    with lzma.open(BUNDLED) as stream:
        original = pd.read_csv(stream, sep=";", keep_default_na=False).drop(columns="duration")
    assert list(frame.columns) == ["id", "period", *original.columns]
    assert frame["id"].tolist() == list(range(1, 41_189))
    assert frame["y"].dtype == "int8"
    original["y"] = (original["y"] == "yes").astype("int8")
    pd.testing.assert_frame_equal(frame.drop(columns=["id", "period"]), original, check_dtype=False)


def test_a_second_source_becomes_a_child_version(servers: Settings, csv_file: Path) -> None:
    parent = ingest(of(servers, source="file", path=csv_file))
    child = ingest(of_text(servers, csv_file.with_name("more.csv"), "\n".join([HEADER, *ROWS[:600]])))
    bucket = ObjectStore(servers.store).data
    assert dataset.manifest(bucket, parent.version).parent is None
    assert dataset.manifest(bucket, child.version).parent == parent.version
    latest = dataset.latest(bucket)
    assert latest is not None
    assert latest.version == child.version


def parquet(frame: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.assign(y=frame["y"] == "yes", job=frame["job"].astype("category")).to_parquet(buffer)
    return buffer.getvalue()


def sheet(frame: pd.DataFrame) -> list[list[Any]]:
    return [list(frame.columns), *frame.astype(object).to_numpy().tolist()]


def renamed(data: bytes, change: Callable[[bytes], bytes]) -> bytes:
    header, rows = data.split(b"\n", 1)
    return change(header) + b"\n" + rows


def blanks(name: str) -> str:
    return f" {name.title().replace('.', ' ')} "


FORMS: dict[str, Callable[[bytes, pd.DataFrame], bytes]] = {
    "plain": lambda data, frame: data,
    "gz": lambda data, frame: gzip.compress(data),
    "xz": lambda data, frame: lzma.compress(data),
    "zip": lambda data, frame: archive(**{"bank.csv": data, "__MACOSX/bank.csv": b"x"}),
    "zip of the original's name": lambda data, frame: archive(**{"bank-additional-full.csv": data, "names.txt": b"x"}),
    "gz in a zip": lambda data, frame: archive(**{"bank.csv": gzip.compress(data)}),
    "parquet": lambda data, frame: parquet(frame),
    "commas": lambda data, frame: data.replace(b";", b","),
    "tabs": lambda data, frame: data.replace(b";", b"\t"),
    "no quotes": lambda data, frame: data.replace(b'"', b""),
    "all quoted": lambda data, frame: frame.to_csv(index=False, quoting=csv.QUOTE_ALL).encode(),
    "CR LF": lambda data, frame: data.replace(b"\n", b"\r\n"),
    "CR": lambda data, frame: data.replace(b"\n", b"\r"),
    "no last line end": lambda data, frame: data.rstrip(b"\n"),
    "blank lines": lambda data, frame: b"\n" + data.replace(b"\n", b"\n\n"),
    "sep line": lambda data, frame: b"sep=;\r\n" + data,
    "byte order mark": lambda data, frame: b"\xef\xbb\xbf" + data,
    "mark and sep line": lambda data, frame: b'\xef\xbb\xbf"sep=;"\n' + data,
    "utf-16": lambda data, frame: data.decode().replace(";", "\t").encode("utf-16"),
    "utf-32": lambda data, frame: data.decode().encode("utf-32"),
    "other column order": lambda data, frame: frame.iloc[:, ::-1].to_csv(index=False).encode(),
    "decimal commas": lambda data, frame: frame.to_csv(index=False, sep=";", decimal=",").encode(),
    "whole numbers as floats": lambda data, frame: (
        frame.astype({"age": float, "pdays": float}).to_csv(index=False).encode()
    ),
    "underscored": lambda data, frame: renamed(data, lambda header: header.replace(b".", b"_")),
    "capitals": lambda data, frame: renamed(data, bytes.upper),
    "blanks and capitals": lambda data, frame: frame.rename(columns=blanks).to_csv(index=False).encode(),
    "blanks in cells": lambda data, frame: data.replace(b'"', b"").replace(b";", b" ; "),
    "deposit": lambda data, frame: renamed(data, lambda header: header.replace(b'"y"', b"deposit")),
    "1 and 0": lambda data, frame: frame.assign(y=(frame["y"] == "yes").astype(int)).to_csv(index=False).encode(),
    "workbook": lambda data, frame: workbook(sheet(frame)),
    "workbook of texts in a zip": lambda data, frame: archive(**{"a.xlsx": workbook(sheet(frame.astype(str)), 3, 2)}),
    "workbook of true and false": lambda data, frame: workbook(sheet(frame.assign(y=frame["y"] == "yes"))),
    "True and False": lambda data, frame: frame.assign(y=frame["y"] == "yes").to_csv(index=False).encode(),
}


@pytest.mark.parametrize(
    ("form", "suffix"), [*((form, ".csv") for form in FORMS), ("plain", ".xz"), ("gz", ".zip"), ("parquet", ".gz")]
)
def test_the_same_rows_in_any_form_are_the_same_version(
    servers: Settings, csv_file: Path, form: str, suffix: str
) -> None:
    expected = ingest(of(servers, source="file", path=csv_file))
    data, frame = csv_file.read_bytes(), pd.read_csv(csv_file, sep=";", keep_default_na=False)
    result = ingest(of_text(servers, csv_file.with_name(f"form{suffix}"), FORMS[form](data, frame)))
    assert (result.version, result.created, result.rejected) == (expected.version, False, 0)


def test_a_stated_charset_holds_and_what_was_read_by_its_spelling_is_told(servers: Settings, csv_file: Path) -> None:
    expected = ingest(of(servers, source="file", path=csv_file))
    frame = pd.read_csv(csv_file, sep=";", keep_default_na=False)
    spelled = frame.assign(
        month=frame["month"].str.upper(), job=frame["job"].where(frame["job"] != "retired", "“retired”")
    )
    path = csv_file.with_name("spelled.csv")
    path.write_bytes(spelled.to_csv(index=False).encode("windows-1252"))
    refused_path = of(servers, source="file", path=path)
    with refuses(SourceError, "is not UTF-8: save the file as UTF-8, or state the charset"):
        ingest(refused_path)
    with refuses(ConfigError, "the charset 'klingon' is unknown"):
        ingest(refused_path.changed("ingest", charset="klingon"))
    result = ingest(refused_path.changed("ingest", charset="windows-1252"))
    assert (result.version, result.created, result.rejected) == (expected.version, False, 0)
    retired = Reading("job", "“retired”", "retired", int((frame["job"] == "retired").sum()))
    upper = [Reading("month", month.upper(), month, cells) for month, cells in Counter(frame["month"]).items()]
    assert result.readings[0] == retired
    assert sorted(result.readings[1:], key=str) == sorted(upper, key=str)
    assert result.dialect == Dialect("windows-1252", "comma", 1)


KILLS = {
    "before the first part": ("put", 0),
    "between parts": ("put", 1),
    "after the last part": ("put_if_absent", 0),
    "after the manifest": ("add_dataset", 0),
}
KILLED = """
import os, signal, sys
from deposit.data import ingest
from deposit.settings import Settings
from deposit.store import Bucket
name, calls = sys.argv[1], int(sys.argv[2])
owner = ingest if name == "add_dataset" else Bucket
real = getattr(owner, name)
def deadly(*arguments):
    global calls
    if calls == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    calls -= 1
    return real(*arguments)
setattr(owner, name, deadly)
ingest.ingest(Settings())
"""


@pytest.mark.parametrize("moment", KILLS)
def test_after_a_kill_the_next_run_succeeds_and_no_orphan_is_seen(
    servers: Settings, csv_file: Path, moment: str
) -> None:
    csv_file.write_text("\n".join([HEADER, *ROWS[7000:9000]]))
    settings = of(servers, source="file", path=csv_file)
    name, calls = KILLS[moment]
    done = subprocess.run([sys.executable, "-c", KILLED, name, str(calls)], env=environment(settings), check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(published(settings)) == (1 if moment == "after the manifest" else 0)
    assert rows_of(settings, datasets) == []
    before = set(ObjectStore(settings.store).data.keys())

    result = ingest(settings)

    assert published(settings) == [result.version]
    assert [row["version"] for row in rows_of(settings, datasets)] == [result.version]
    assert dataset.latest(ObjectStore(settings.store).data) is not None
    assert len(dataset.load(ObjectStore(settings.store).data, result.version)) == 2000
    own = set(ObjectStore(settings.store).data.keys(f"datasets/{result.version}/"))
    assert before <= own | {"datasets/latest"}


def environment(settings: Settings) -> dict[str, str]:
    assert settings.database.url is not None
    assert settings.store.secret_key is not None
    return {
        **os.environ,
        "DEPOSIT_DATABASE__URL": settings.database.url.get_secret_value(),
        "DEPOSIT_STORE__ENDPOINT_URL": str(settings.store.endpoint_url),
        "DEPOSIT_STORE__ACCESS_KEY": str(settings.store.access_key),
        "DEPOSIT_STORE__SECRET_KEY": settings.store.secret_key.get_secret_value(),
        "DEPOSIT_INGEST__SOURCE": settings.ingest.source,
        "DEPOSIT_INGEST__PATH": str(settings.ingest.path),
    }


def test_two_at_once_make_one_version(servers: Settings, csv_file: Path) -> None:
    settings = of(servers, source="file", path=csv_file)
    script = "from deposit.data import ingest; from deposit.settings import Settings; ingest.ingest(Settings())"
    both = [subprocess.Popen([sys.executable, "-c", script], env=environment(settings)) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    assert len(published(settings)) == 1
    assert len(rows_of(settings, datasets)) == 1


def test_bad_rows_are_set_aside_and_the_good_ones_go_on(servers: Settings, csv_file: Path) -> None:
    lines = [HEADER, *ROWS[:500]]
    lines[3] = lines[3].replace('"services"', '"pirate"', 1)
    lines[7] = "too;short"
    settings = of_text(servers, csv_file, "\n".join(lines))
    first, second = ingest(settings), ingest(settings)

    assert (first.rows, first.rejected, first.first_line, first.last_line) == (498, 2, 2, 501)
    assert [row.line for row in first.rejections] == [4, 8]
    assert first.rejections[1].reason == "2 fields: 21 separated by `;` are expected"
    assert (second.version, second.rejected) == (first.version, 2)
    rows = rows_of(settings, rejects)
    assert [row["line"] for row in rows] == [4, 8]
    assert rows[0]["reason"].startswith("job is 'pirate': one of admin., blue-collar")
    assert rows[1]["reason"] == "2 fields: 21 separated by `;` are expected"
    assert {row["uri"] for row in rows} == {first.quarantine_uri}
    quarantine = ObjectStore(settings.store).data.get(f"quarantine/{first.source_sha256}.csv").decode()
    assert quarantine.splitlines()[0].startswith("line,reason,id,age,job")
    assert quarantine.splitlines()[1].startswith("4,\"job is 'pirate'")
    frame = dataset.load(ObjectStore(settings.store).data, first.version)
    assert not set(frame["id"]) & {3, 7}


def test_too_many_bad_rows_publish_nothing_but_can_be_looked_at(servers: Settings, csv_file: Path) -> None:
    lines = [HEADER, *ROWS[:500]]
    lines[1:51] = [f"x{line}" for line in lines[1:51]]
    settings = of_text(servers, csv_file, "\n".join(lines))
    refused(settings, ContractError, r"line 2: age is 'x56': a whole .*line 4: .*50 of 500 rows .*10\.00%.*1\.00%")
    assert len(rows_of(settings, rejects)) == 50
    ingest(of(settings, source="file", path=csv_file, max_bad_share=0.2))


BAD_TEXTS: dict[str, tuple[str | bytes, type[DepositError], str]] = {
    "empty file": ("", SourceError, "the file is empty"),
    "blank lines alone": ("\n \n", SourceError, "the file is empty"),
    "no header": ("\n1;2\n", ContractError, "missing column age"),
    "header alone": (HEADER + "\n", ContractError, "no row under it"),
    "colons": ("\n".join([HEADER, *ROWS[:9]]).replace(";", ":"), ContractError, "separated by `:`: save"),
    "open quote": (
        "\n".join([HEADER, *ROWS[:9], '"' + ROWS[9].replace('"', "")]),
        SourceError,
        "a quote that opens on line 11 never",
    ),
    "quote that takes in rows": (
        "\n".join([HEADER, *ROWS[:9], '"' + ROWS[9].replace('"', ""), *plain(ROWS[10:99]), '"' + ROWS[99]]),
        SourceError,
        "a quote that opens on line 11 closes further down, and the lines between are rows of their own: remove",
    ),
    "cut off": ("\n".join([HEADER, *ROWS[:9]])[:-20], ContractError, "line 10: 1. fields: 21 .*the file was cut off"),
    "workbook": (no_workbook(), SourceError, "this is not a complete, readable .xlsx file: save it again"),
    "page": ("<!DOCTYPE html><html>", SourceError, "this is a web page .*login page"),
    "two files": (archive(a=b"1", b=b"2"), SourceError, r"zip archive holds no .* but 2 files \(a, b\): unpack it and"),
    "NUL": (f"{HEADER}\n{ROWS[0]}\n\0\n", SourceError, "line 3 holds a NUL"),
    "other separator below": (HEADER + "\n" + ROWS[0].replace(";", ","), ContractError, "1 fields: 21 separated"),
    "missing column": (HEADER.replace('"age"', '"alter"') + "\n" + ROWS[0], ContractError, "missing column age"),
    "unknown column": (f'{HEADER};"name"\n{ROWS[0]};"A"', ContractError, "unknown column 'name': remove it"),
    "column twice": (f'{HEADER};"age"\n{ROWS[0]};1', ContractError, "column 'age' occurs more than once"),
    "duration alone": ("duration\n261\n", ContractError, "`duration`, which is known only after the call"),
    "duration and y": ("duration;y\n261;no\n", ContractError, "`duration`, which is known only after the call"),
    "latin-1": (
        "\n".join([HEADER, ROWS[0], ROWS[1].replace("services", "propriétaire")]).encode("latin-1"),
        SourceError,
        r"line 3, byte 11 \(0xe9\) is not UTF-8: save the file as UTF-8",
    ),
    "not sorted": ("\n".join([HEADER, *ROWS[:40], *ROWS[40000:40100], *ROWS[7700:7800]] * 30), ContractError, "sort"),
}


@pytest.mark.parametrize("case", BAD_TEXTS)
def test_a_bad_file_is_refused_in_one_line(servers: Settings, tmp_path: Path, case: str) -> None:
    content, error, match = BAD_TEXTS[case]
    refused(of_text(servers, tmp_path / "bad.csv", content), error, f"{tmp_path}/bad.csv.*{match}|^line.*{match}")


def test_a_wrong_sha256_is_refused(servers: Settings, csv_file: Path) -> None:
    refused(of(servers, source="file", path=csv_file, sha256="0" * 64), IntegrityError, "sha256 of the CSV is")


def test_a_path_that_cannot_be_read_is_refused(servers: Settings, tmp_path: Path) -> None:
    refused(of(servers, source="file", path=tmp_path / "none.csv"), SourceError, "none.csv: cannot be read")
    refused(of(servers, source="file", path=tmp_path), SourceError, "Is a directory")
    refused(of_text(servers, tmp_path / "cut.xz", lzma.compress(b"x" * 999)[:-9]), SourceError, "not a complete .xz")
    refused(of(servers, source="file"), ConfigError, "DEPOSIT_INGEST__PATH")


def test_the_object_store_being_down_is_reported_before_the_source_is_read(servers: Settings, free_ports: Any) -> None:
    down = servers.store.model_copy(update={"endpoint_url": f"http://127.0.0.1:{free_ports(1)}"})
    messages: list[str] = []
    with pytest.raises(UpstreamError, match=r"on http://127.*the object store does not answer"):
        ingest(servers.model_copy(update={"store": down}), lambda message, done=0, total=0: messages.append(message))
    assert messages == []


def test_the_database_being_down_is_reported_before_anything_is_written(servers: Settings, free_ports: Any) -> None:
    down = DatabaseSettings(url=f"postgresql://u:very-secret@127.0.0.1:{free_ports(1)}/deposit")
    with pytest.raises(UpstreamError, match="cannot use the database") as caught:
        ingest(servers.model_copy(update={"database": down}))
    assert "very-secret" not in str(caught.value)
    assert ObjectStore(servers.store).data.keys() == []


def test_a_missing_bucket_is_reported(servers: Settings) -> None:
    store = servers.store.model_copy(update={"data_bucket": "not-made"})
    with pytest.raises(ConfigError, match="bucket not-made does not exist"):
        ingest(servers.model_copy(update={"store": store}))


@pytest.fixture
def bank(make_database: Callable[[], str]) -> str:
    url = make_database()
    frame = pd.read_csv(BUNDLED, sep=";", keep_default_na=False).head(3000)
    engine = create_engine(url)
    frame.insert(0, "call", range(1, 3001))
    frame.to_sql("calls", engine, index=False)
    engine.dispose()
    return url


def test_a_query_of_the_bank_s_database_gives_the_same_version_as_its_file(
    servers: Settings, bank: str, csv_file: Path
) -> None:
    columns = ", ".join(f"{name} AS {name}" for name in HEADER.split(";"))
    query = f"SELECT {columns} FROM calls WHERE job LIKE '%' ORDER BY call"
    from_table: IngestResult = ingest(of(servers, source="postgres", url=bank, query=query))
    from_file = ingest(of_text(servers, csv_file, "\n".join([HEADER, *ROWS[:3000]])))
    assert (from_table.rows, from_table.version) == (3000, from_file.version)
    assert "postgresql" in from_table.source
    assert "@" not in from_table.source


def test_a_wrong_query_is_refused_and_cannot_change_the_bank_s_tables(servers: Settings, bank: str) -> None:
    refused(of(servers, source="postgres", url=bank, query="SELECT * FROM nothing"), UpstreamError, "nothing")
    refused(
        of(servers, source="postgres", url=bank, query="SELECT age FROM calls"), ContractError, "missing column job"
    )
    refused(of(servers, source="postgres", url=bank, query="DELETE FROM calls"), DepositError, ".")
    refused(of(servers, source="postgres", url=bank), ConfigError, "DEPOSIT_INGEST__QUERY")
    engine = create_engine(bank)
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM calls")) == 3000
    engine.dispose()
