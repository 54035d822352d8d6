import gzip
import lzma
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import create_engine, select, text

from deposit.data import dataset
from deposit.data.ingest import IngestResult, ingest
from deposit.data.sources import BUNDLED
from deposit.database import connect, datasets, rejects
from deposit.errors import ConfigError, ContractError, DepositError, IntegrityError, SourceError, UpstreamError
from deposit.sections import DatabaseSettings, IngestSettings
from deposit.settings import Settings
from deposit.store import ObjectStore

pytestmark = pytest.mark.servers
LINES = lzma.decompress(BUNDLED.read_bytes()).decode().splitlines()
HEADER, ROWS = LINES[0], LINES[1:]


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
        found = [dict(row) for row in connection.execute(select(table)).mappings()]
    engine.dispose()
    return found


def published(settings: Settings) -> list[str]:
    versions = dataset.versions(ObjectStore(settings.store), settings.store.data_bucket)
    return [manifest.version for manifest in versions]


def refused(settings: Settings, error: type[DepositError], match: str) -> None:
    with pytest.raises(error, match=match) as caught:
        ingest(settings)
    assert "\n" not in str(caught.value)
    assert published(settings) == []
    assert rows_of(settings, datasets) == []


def test_the_original_becomes_one_version_of_26_months(servers: Settings) -> None:
    first, second = ingest(servers), ingest(servers)
    assert (first.created, second.created) == (True, False)
    assert first.version == second.version
    assert published(servers) == [first.version]
    assert (first.rows, first.rejected, first.quarantine_uri) == (41_188, 0, None)
    assert (first.first_period, first.last_period) == ("2008-05", "2010-11")
    (row,) = rows_of(servers, datasets)
    assert (row["version"], row["rows"], row["uri"]) == (first.version, 41_188, first.uri)
    manifest = dataset.manifest(ObjectStore(servers.store), "deposit-data", first.version)
    assert len(manifest.files) == 26
    assert sum(part.rows for part in manifest.files) == 41_188


def test_the_rows_come_back_as_they_were_without_duration(servers: Settings) -> None:
    result = ingest(servers)
    frame = dataset.load(ObjectStore(servers.store), "deposit-data", result.version)
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
    store = ObjectStore(servers.store)
    assert dataset.manifest(store, "deposit-data", parent.version).parent is None
    assert dataset.manifest(store, "deposit-data", child.version).parent == parent.version
    latest = dataset.latest(store, "deposit-data")
    assert latest is not None
    assert latest.version == child.version


@pytest.mark.parametrize("form", ["plain", "gz", "xz", "commas", "byte order mark", "other column order"])
def test_the_same_rows_in_any_form_are_the_same_version(servers: Settings, csv_file: Path, form: str) -> None:
    expected = ingest(of(servers, source="file", path=csv_file)).version
    data = csv_file.read_bytes()
    suffix = {"gz": ".gz", "xz": ".xz"}.get(form, ".csv")
    if form == "other column order":
        data = pd.read_csv(csv_file, sep=";").iloc[:, ::-1].to_csv(index=False).encode()
    contents = {
        "gz": gzip.compress(data),
        "xz": lzma.compress(data),
        "commas": data.replace(b";", b","),
        "byte order mark": b"\xef\xbb\xbf" + data,
    }
    result = ingest(of_text(servers, csv_file.with_name(f"form{suffix}"), contents.get(form, data)))
    assert (result.version, result.created) == (expected, False)


KILLS = {
    "before the first part": ("put", 0),
    "between parts": ("put", 1),
    "after the last part": ("put_if_absent", 0),
    "after the manifest": ("add_dataset", 0),
}
KILLED = """
import os, signal, sys
from deposit.data import ingest, records
from deposit.settings import Settings
from deposit.store import ObjectStore
name, calls = sys.argv[1], int(sys.argv[2])
owner = records if name == "add_dataset" else ObjectStore
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
    before = set(ObjectStore(settings.store).keys("deposit-data"))

    result = ingest(settings)

    assert published(settings) == [result.version]
    assert [row["version"] for row in rows_of(settings, datasets)] == [result.version]
    assert dataset.latest(ObjectStore(settings.store), "deposit-data") is not None
    assert len(dataset.load(ObjectStore(settings.store), "deposit-data", result.version)) == 2000
    own = set(ObjectStore(settings.store).keys("deposit-data", f"datasets/{result.version}/"))
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

    assert (first.rows, first.rejected) == (498, 2)
    assert (second.version, second.rejected) == (first.version, 2)
    found = rows_of(settings, rejects)
    assert [row["line"] for row in found] == [4, 8]
    assert found[0]["reason"].startswith("job is 'pirate': one of admin., blue-collar")
    assert found[1]["reason"] == "2 fields: 21 separated by `;` are expected"
    assert {row["uri"] for row in found} == {first.quarantine_uri}
    quarantine = ObjectStore(settings.store).get("deposit-data", f"quarantine/{first.source_sha256}.csv").decode()
    assert quarantine.splitlines()[0].startswith("line,reason,id,age,job")
    assert quarantine.splitlines()[1].startswith("4,\"job is 'pirate'")
    frame = dataset.load(ObjectStore(settings.store), "deposit-data", first.version)
    assert not set(frame["id"]) & {3, 7}


def test_too_many_bad_rows_publish_nothing_but_can_be_looked_at(servers: Settings, csv_file: Path) -> None:
    lines = [HEADER, *ROWS[:500]]
    lines[1:51] = [f"x{line}" for line in lines[1:51]]
    settings = of_text(servers, csv_file, "\n".join(lines))
    refused(settings, ContractError, r"50 of 500 rows .*10\.00%.*1\.00%.*line 2: age is 'x56': a whole .*line 4: ")
    assert len(rows_of(settings, rejects)) == 50
    ingest(of(settings, source="file", path=csv_file, max_bad_share=0.2))


BAD_TEXTS: dict[str, tuple[str | bytes, type[DepositError], str]] = {
    "empty file": ("", SourceError, "the file is empty"),
    "empty first line": ("\n1;2\n", SourceError, "first line is empty"),
    "header alone": (HEADER + "\n", ContractError, "no row under it"),
    "tabs": ("\n".join([HEADER, *ROWS[:9]]).replace(";", "\t"), ContractError, "separated by tabs: save"),
    "other separator below": (HEADER + "\n" + ROWS[0].replace(";", ","), ContractError, "1 fields: 21 separated"),
    "missing column": (HEADER.replace('"age"', '"alter"') + "\n" + ROWS[0], ContractError, "missing column age"),
    "unknown column": (f'{HEADER};"name"\n{ROWS[0]};"A"', ContractError, "unknown column 'name': remove it"),
    "column twice": (f'{HEADER};"age"\n{ROWS[0]};1', ContractError, "column 'age' is there more than once"),
    "duration alone": ("duration\n261\n", ContractError, "`duration`, which is known only after the call"),
    "duration and y": ("duration;y\n261;no\n", ContractError, "`duration`, which is known only after the call"),
    "latin-1": (
        "\n".join([HEADER, ROWS[0], ROWS[1].replace("services", "propriétaire")]).encode("latin-1"),
        SourceError,
        r"line 3, byte 11 \(0xe9\) is not UTF-8: save the file as UTF-8",
    ),
    "utf-16": ("\n".join([HEADER, ROWS[0]]).encode("utf-16"), SourceError, "line 1, byte 1 .*not UTF-8"),
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
    refused(of_text(servers, tmp_path / "cut.xz", lzma.compress(b"x" * 999)[:-9]), SourceError, "not a whole .xz file")
    refused(of(servers, source="file"), ConfigError, "DEPOSIT_INGEST__PATH")


def test_the_object_store_being_down_is_told_before_the_source_is_read(servers: Settings, free_ports: Any) -> None:
    down = servers.store.model_copy(update={"endpoint_url": f"http://127.0.0.1:{free_ports(1)}"})
    told: list[str] = []
    with pytest.raises(UpstreamError, match=r"object store .* does not answer"):
        ingest(servers.model_copy(update={"store": down}), lambda message, done=0, total=0: told.append(message))
    assert told == []


def test_the_database_being_down_is_told_before_anything_is_written(servers: Settings, free_ports: Any) -> None:
    down = DatabaseSettings(url=f"postgresql://u:very-secret@127.0.0.1:{free_ports(1)}/deposit")
    with pytest.raises(UpstreamError, match="cannot use the database") as caught:
        ingest(servers.model_copy(update={"database": down}))
    assert "very-secret" not in str(caught.value)
    assert ObjectStore(servers.store).keys("deposit-data") == []


def test_a_missing_bucket_is_told(servers: Settings) -> None:
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
