import csv
import io
import lzma
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import Engine

from deposit.data.ingest import ingest
from deposit.data.period import parse_period
from deposit.data.sources import BUNDLED
from deposit.database import connect, migrate, revisions
from deposit.monitoring.profile import service_of
from deposit.sections import DatabaseSettings, IngestSettings
from deposit.settings import Settings
from deposit.store import ObjectStore

pytestmark = pytest.mark.servers
LINES = lzma.decompress(BUNDLED.read_bytes()).decode().splitlines()
WORST = 'SELECT "column", rule, count(*) FROM rejects GROUP BY 1, 2 ORDER BY 3 DESC, 1'
BY_LINE = 'SELECT line, "column", rule, reason FROM rejects ORDER BY 1, 2'


@pytest.fixture
def engine(servers: Settings) -> Iterator[Engine]:
    engine = connect(servers.database)
    yield engine
    engine.dispose()


@pytest.fixture
def broken(servers: Settings, tmp_path: Path) -> Settings:
    """Lines 4 to 6 have a wrong job, 6 a wrong age too; 8 is too short, 9 has the id of line 2."""
    lines = [f'"id";{LINES[0]}', *(f"{number};{row}" for number, row in enumerate(LINES[1:501], start=1))]
    for line in (4, 5, 6):
        cells = lines[line - 1].split(";")
        lines[line - 1] = ";".join([cells[0], "7" if line == 6 else cells[1], "pirate", *cells[3:]])
    lines[7] = "too;short"
    lines[8] = "1;" + lines[8].partition(";")[2]
    path = tmp_path / "calls.csv"
    path.write_text("\n".join(lines))
    ingest_settings = IngestSettings(source="file", path=path, max_bad_share=0.5)
    return servers.model_copy(update={"ingest": ingest_settings})


def ask(engine: Engine, statement: str) -> list[tuple[object, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(statement)]


def test_which_column_breaks_most_is_a_group_by(broken: Settings, engine: Engine) -> None:
    result = ingest(broken)
    assert ask(engine, WORST) == [
        ("job", "domain", 3), ("", "fields", 1), ("age", "domain", 1), ("id", "unique", 1),
    ]  # fmt: skip
    assert ask(engine, "SELECT count(DISTINCT line) FROM rejects") == [(result.rejected,)] == [(5,)]
    assert ingest(broken) == result.__class__(**{**vars(result), "created": False})
    assert len(ask(engine, BY_LINE)) == 6


def test_monitoring_counts_rejected_rows_and_not_what_was_wrong_with_them(broken: Settings, engine: Engine) -> None:
    ingest(broken)
    month = parse_period(f"{datetime.now(UTC):%Y-%m}")
    with engine.connect() as connection:
        assert service_of(connection, month) == {"ingest_rejected": 5}


def test_the_quarantine_names_rule_and_column_of_each_row(broken: Settings) -> None:
    result = ingest(broken)
    content = ObjectStore(broken.store).data.get(f"quarantine/{result.source_sha256}.csv").decode()
    rows = list(csv.DictReader(io.StringIO(content)))
    assert [(row["line"], row["rule"], row["column"]) for row in rows] == [
        ("4", "domain", "job"), ("5", "domain", "job"), ("6", "domain; domain", "age; job"), ("8", "fields", ""),
        ("9", "unique", "id"),
    ]  # fmt: skip
    assert rows[2]["reason"].startswith("age is '7': a whole number from 17 to 110 is allowed; job is 'pirate': one of")
    assert rows[4]["reason"] == "id is '1': a whole number from 0 on is allowed, each once"


def test_rows_of_before_are_kept_until_their_file_is_read_again(
    broken: Settings, engine: Engine, make_database: Callable[[], str]
) -> None:
    database = DatabaseSettings(url=make_database())
    own = connect(database)
    migrate(own)
    sha256 = ingest(broken).source_sha256
    with own.begin() as connection:
        config = revisions(connection)
        command.downgrade(config, "0007")
        for source in (sha256, "0" * 64):
            connection.exec_driver_sql(
                "INSERT INTO rejects (source_sha256, line, source, reason, uri) VALUES (%s, 6, 'calls.csv', 'age', '')",
                (source,),
            )
        command.upgrade(config, "head")
    assert ask(own, WORST) == [("", "unknown", 2)]

    ingest(broken.model_copy(update={"database": database}))

    assert ("", "unknown", 1) in ask(own, WORST)
    of_file = f" WHERE source_sha256 = '{sha256}' ORDER"
    assert ask(own, BY_LINE.replace(" ORDER", of_file)) == ask(engine, BY_LINE)
    own.dispose()


def test_taken_back_each_line_is_there_once_with_all_its_reasons(broken: Settings, engine: Engine) -> None:
    ingest(broken)
    reasons = {line: reason for line, _, _, reason in ask(engine, BY_LINE) if line != 6}
    with engine.begin() as connection:
        command.downgrade(revisions(connection), "0007")
    rows = dict(ask(engine, "SELECT line, reason FROM rejects ORDER BY 1"))
    migrate(engine)
    assert sorted(rows) == [4, 5, 6, 8, 9]
    assert {line: rows[line] for line in reasons} == reasons
    assert str(rows[6]).startswith("age is '7': a whole number from 17 to 110 is allowed; job is 'pirate': one of")
