"""Months of predictions go to a real object store, out of a real PostgreSQL, and are monitored from there."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pandas as pd
import psycopg
import pytest
from monitored import Trained
from sqlalchemy import Connection, text

from deposit.data.columns import NAMES
from deposit.data.period import parse_period
from deposit.database import transaction
from deposit.errors import ConfigError, IntegrityError
from deposit.log import archive, archiver
from deposit.log.archiver import ArchiveRefusal, archive_months
from deposit.model.expiry import Expiry
from deposit.monitoring import monitor, receipts
from deposit.monitoring.period_rows import SAMPLED, PeriodRows, StoredRows, archived_until, period_rows
from deposit.sections import DatabaseSettings, StoreSettings
from deposit.settings import Settings, variables
from deposit.store import ObjectStore

pytestmark = pytest.mark.servers

MODEL, OTHER = "deposit-v7", "deposit-v8"
MONTH = parse_period("2010-05")
LONG_AGO = datetime(2010, 7, 1, tzinfo=UTC)
COLUMNS = (
    "prediction_id", "event_time", "request_id", "customer_id", "model_id", *(name.replace(".", "_") for name in NAMES),
    "probability", "subscribes", "threshold", "latency_ms", "client", "stored_at",
)  # fmt: skip
QUOTED = ", ".join(f'"{column}"' for column in COLUMNS)
ODD = (None, "", 'a "quoted", one', "of\ntwo lines", "naïve \\N ☎", "=x")


class Bank:
    """A database with a month and the real object store."""

    def __init__(
        self, settings: Settings, owner: str, rows: pd.DataFrame, probabilities: Any, trained: Trained
    ) -> None:
        self.settings = settings
        self.owner = owner
        self._rows = rows
        self._probabilities = probabilities
        self._threshold = trained.threshold

    def ask(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.owner) as connection:
            cursor = connection.execute(query, values)
            return cursor.fetchall() if cursor.description else []

    def predict(
        self, count: int, model: str = MODEL, first: int = 0, start: datetime = MONTH.start, stored: datetime = LONG_AGO
    ) -> None:
        """Add real rows with ids from `first` on, from which all else follows, spread over a month from `start`."""
        with psycopg.connect(self.owner) as connection:
            count_of_days = 31 if start.month == 5 else 30
            days = [start.date() + timedelta(days=day) for day in range(count_of_days)]
            connection.execute("SELECT public.make_prediction_days(%s)", [days])
            with connection.cursor().copy(f"COPY predictions ({QUOTED}) FROM STDIN") as copy:
                for number in range(first, first + count):
                    row, at = number % len(self._rows), start + timedelta(minutes=43 * (number % 1000))
                    values, probability = self._rows.loc[row, list(NAMES)], float(self._probabilities[row])
                    copy.write_row(
                        (UUID(int=number), at, "r", ODD[number % len(ODD)], model, *values, probability,
                         probability >= self._threshold, self._threshold, 1.0 + number % 100, "crm", stored)
                    )  # fmt: skip

    def tell(self, ids: range, offset: int = 0) -> None:
        """Outcomes, some of which were corrected."""
        with (
            psycopg.connect(self.owner) as connection,
            connection.cursor().copy(
                "COPY outcomes (prediction_id, subscribed, at, received_at, client, request_id) FROM STDIN"
            ) as copy,
        ):
            for number in ids:
                at = LONG_AGO + timedelta(days=offset, seconds=number)
                if number % 7 == 0:
                    copy.write_row((UUID(int=number), number % 3 != 0, at - timedelta(days=1), at, "crm", "r"))
                copy.write_row((UUID(int=number), number % 3 == 0, at, at, "crm", "r"))

    def archive(self) -> list[archiver.ArchivedMonth]:
        return archive_months(self.settings)

    def stored(self) -> int:
        ((count,),) = self.ask("SELECT count(*) FROM predictions")
        return int(count)

    def days(self) -> list[str]:
        query = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'predictions'::regclass ORDER BY 1"
        return [name for (name,) in self.ask(query) if "201005" in name]

    def objects(self) -> list[str]:
        return ObjectStore(self.settings.store).data.keys(archive.PREFIX)

    def readable(self) -> list[tuple[str, ...]]:
        """Every row that monitoring would read, whole, in order."""
        with _month(self.settings) as (connection, rows):
            names = ", ".join(f'"{name}"' for name in archive.SCHEMA.names)
            query = f"SELECT {names} FROM predictions {{}} ORDER BY prediction_id"
            if isinstance(rows, StoredRows):
                return [
                    tuple(map(str, row))
                    for row in connection.execute(text(query.format(f"WHERE event_time < '{MONTH.end}'")))
                ]
            return [tuple(map(str, row)) for row in rows._engine.execute(query.format("")).fetchall()]

    def figures(self, monkeypatch: pytest.MonkeyPatch, trained: Trained, period: str = MONTH.name) -> dict[Any, Any]:
        """All metric rows of a period, as `deposit monitor` stores them."""
        baseline = monitor.ModelBaseline(
            trained.reference, trained.threshold, trained.expected, Expiry(24_000, None, 3, 6)
        )
        monkeypatch.setattr(monitor, "_baseline", lambda *_: baseline)
        self.ask("DELETE FROM metrics")
        monitor.monitor(self.settings, period)
        rows = self.ask('SELECT scope, name, "column", value, note FROM metrics WHERE period = %s', period)
        return {row[:3]: row[3:] for row in rows}


@contextmanager
def _month(settings: Settings) -> Iterator[tuple[Connection, PeriodRows]]:
    with transaction(settings.database) as connection, period_rows(settings, connection, MONTH) as rows:
        yield connection, rows


@pytest.fixture(scope="module")
def addresses(make_database: Callable[[], str], make_log_database: Callable[[str, str], Any]) -> Any:
    return make_log_database(make_database(), "archived")


@pytest.fixture
def bank(addresses: Any, empty_store: StoreSettings, history: pd.DataFrame, trained: Trained, tmp_path: Path) -> Bank:
    settings = Settings(
        state_dir=tmp_path / "it's a state", database=DatabaseSettings(url=addresses.owner), store=empty_store
    )
    rows = history[history["period"] >= "2010"].reset_index(drop=True)
    probabilities = trained.score(rows)
    rows = rows.assign(job=rows["job"].where(rows.index % 50 != 0, "astronaut"))
    bank = Bank(settings, addresses.owner, rows, probabilities, trained)
    bank.ask("TRUNCATE predictions, predictions_by_minute, outcomes, spool_states, metrics, archives")
    return bank


def assert_same(figures: dict[Any, Any], expected: dict[Any, Any]) -> None:
    """All figures; sums of floats may differ by the order in which they were added."""
    assert figures.keys() == expected.keys()
    for name, (value, note) in expected.items():
        assert figures[name] == (pytest.approx(value, rel=1e-9, abs=1e-12), note), name


def test_a_month_that_was_archived_has_the_figures_that_it_had_before(
    bank: Bank, trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank.predict(2000)
    bank.predict(500, OTHER, first=10**6)
    bank.predict(400, first=2 * 10**6, start=MONTH.end)
    bank.tell(range(1500))
    before, day_before = (bank.figures(monkeypatch, trained, period) for period in ("2010-05", "2010-05-17"))
    rows = bank.readable()
    samples = [_sample(bank, model) for model in (MODEL, OTHER)]
    assert len(before) > 500
    assert (MODEL, "roc_auc", "") in before

    may, june = bank.archive()
    assert (may.month, may.rows, may.days, may.refusal) == ("2010-05", 2500, 31, None)
    assert (june.month, june.rows, june.refusal) == ("2010-06", 400, None)
    assert bank.stored() == 0
    assert bank.ask("SELECT sum(rows) FROM predictions_by_minute") == [(2900,)]
    assert bank.ask("SELECT month, rows FROM archives ORDER BY 1") == [("2010-05", 2500), ("2010-06", 400)]
    assert bank.readable() == rows

    for figures, expected in (
        (bank.figures(monkeypatch, trained), before),
        (bank.figures(monkeypatch, trained, "2010-05-17"), day_before),
    ):
        assert_same(figures, expected)
    for model, sample in zip((MODEL, OTHER), samples, strict=True):
        pd.testing.assert_frame_equal(_sample(bank, model), sample)
    assert bank.archive() == []


def _sample(bank: Bank, model: str) -> pd.DataFrame:
    with _month(bank.settings) as (_, rows):
        return pd.DataFrame(rows.sample(model, 700), columns=list(SAMPLED))


def test_late_outcomes_and_late_rows_of_an_archived_month_count(
    bank: Bank, trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank.predict(1000)
    bank.archive()
    assert bank.figures(monkeypatch, trained)[MODEL, "outcomes_known_share", ""][0] == 0
    bank.tell(range(500))
    bank.tell(range(20), offset=3)
    # of these, 100 were shipped again
    bank.predict(300, first=900)
    expected = bank.readable()
    assert len(expected) == 1200
    figures = bank.figures(monkeypatch, trained)
    assert figures[MODEL, "rows", ""][0] == 1200
    assert figures[MODEL, "outcomes_known_share", ""][0] == pytest.approx(500 / 1200)
    (again,) = (month for month in bank.archive() if month.month == "2010-05")
    # a day of which all was shipped again, and nothing else, is in the archive already
    assert (200 <= again.rows < 300, again.refusal) == (True, None)
    assert bank.stored() == 0
    assert bank.readable() == expected
    assert_same(bank.figures(monkeypatch, trained), figures)


def test_outcomes_of_what_may_be_archived_are_not_unknown(bank: Bank) -> None:
    def made(at: datetime, version: int) -> UUID:
        digits = f"{round(at.timestamp() * 1000):012x}{version}{'0' * 19}"
        return UUID(digits if version == 7 else f"f{digits[1:]}")

    day = parse_period("2010-08-01")
    ids = [made(LONG_AGO - timedelta(days=9), 7), made(day.start, 8), made(day.start, 7)]
    for id_ in ids:
        bank.ask("INSERT INTO outcomes (prediction_id, subscribed, at, received_at, client, request_id) VALUES"
                 " (%s, true, %s, %s, 'crm', 'r')", id_, day.start, day.start)  # fmt: skip

    def counted() -> list[tuple[int, int]]:
        with transaction(bank.settings.database) as connection:
            days = receipts.settled(day, datetime.now(UTC), None, archived_until(connection))
            return [(each.received, each.unknown) for each in receipts.count(connection, days)]

    assert counted() == [(3, 3)]
    bank.predict(50)
    bank.archive()
    assert counted() == [(3, 1)]


POINTS = {
    "a file is written": ("deposit.store.Bucket", "upload", "after"),
    "all was compared": ("deposit.log.archiver._Archiver", "_compare", "after"),
    "the manifest is written": ("deposit.log.archive", "enter", "before"),
    "a day was dropped": ("deposit.log.archiver._Archiver", "_drop", "after"),
}
SCRIPT = """
import importlib, sys, time
place, name, when = sys.argv[1:]
try:
    owner = importlib.import_module(place)
except ModuleNotFoundError:
    owner = getattr(importlib.import_module(place.rpartition(".")[0]), place.rpartition(".")[2])
method = getattr(owner, name)
def held(*args, **kwargs):
    if when == "after":
        method(*args, **kwargs)
    print("held", flush=True)
    time.sleep(600)
setattr(owner, name, held)
sys.argv = ["deposit", "archive", "--json"]
from deposit.cli import main
main()
"""


def test_killed_anywhere_it_loses_nothing_doubles_nothing_and_goes_on(bank: Bank, tmp_path: Path) -> None:
    bank.predict(400)
    bank.tell(range(300))
    rows = bank.readable()
    assert len(rows) == 400
    environment = {**os.environ, **variables(bank.settings)}
    for point, held in POINTS.items():
        process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, *held], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True,
        )  # fmt: skip
        line = process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        _, errors = process.communicate()
        assert line == "held\n", f"{point}: {errors}"
        assert bank.readable() == rows, point
        manifests = [key for key in bank.objects() if key.endswith(archive.MANIFEST)]
        assert len(manifests) == (list(POINTS).index(point) >= 2), point
    assert 0 < len(bank.days()) < 31
    assert bank.archive()[0].refusal is None
    assert bank.days() == []
    assert bank.readable() == rows
    assert len(bank.objects()) == 2


def test_what_does_not_read_back_alike_is_not_published_and_nothing_is_dropped(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank.predict(200)
    whole = archive.tables
    monkeypatch.setattr(archive, "tables", lambda copied: (table.slice(1) for table in whole(copied)))
    with pytest.raises(IntegrityError, match="files of 2010-05 differ from the rows in PostgreSQL"):
        bank.archive()
    assert bank.stored() == 200
    assert not [key for key in bank.objects() if key.endswith(archive.MANIFEST)]
    monkeypatch.setattr(archive, "tables", whole)
    fetch = archive.fetch

    def damaged(bucket: Any, manifest: Any, part: Any, folder: Path) -> Path:
        key = manifest.folder + part.name
        content = bytearray(bucket.get(key))
        content[len(content) // 2] ^= 1
        bucket.put(key, bytes(content))
        return fetch(bucket, manifest, part, folder)

    monkeypatch.setattr(archive, "fetch", damaged)
    with pytest.raises(IntegrityError, match="is not what was archived"):
        bank.archive()
    assert bank.stored() == 200
    monkeypatch.setattr(archive, "fetch", fetch)
    assert bank.archive()[0].rows == 200


def test_a_month_stays_while_rows_of_it_may_come(bank: Bank) -> None:
    def state(at: datetime, oldest: float, aside: int = 0) -> None:
        bank.ask("TRUNCATE spool_states")
        bank.ask("INSERT INTO spool_states VALUES (%s, 1, 1, %s, 1, %s, 1)", at, oldest, aside)

    bank.predict(50)
    now = datetime.now(UTC)
    for at, oldest, aside, refusal in (
        (now, (now - MONTH.end).total_seconds() + 60, 0, ArchiveRefusal.WAITING),
        # a shipper that has stopped since
        (MONTH.end - timedelta(days=1), 0, 0, ArchiveRefusal.WAITING),
        (now, 0, 3, ArchiveRefusal.ASIDE),
    ):
        state(at, oldest, aside)
        assert [(month.rows, month.refusal) for month in bank.archive()] == [(0, refusal)]
        assert bank.stored() == 50
    state(now, 20)
    bank.ask("UPDATE predictions SET stored_at = now() WHERE prediction_id = %s", UUID(int=3))
    assert bank.archive()[0].refusal is ArchiveRefusal.RECENT
    bank.ask("UPDATE predictions SET stored_at = %s", LONG_AGO)
    assert bank.archive()[0].refusal is None


def test_a_day_that_is_read_or_that_got_a_row_meanwhile_is_not_dropped(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank.predict(31)
    publish = archiver._Archiver._publish

    def late(self: Any, manifest: Any) -> None:
        publish(self, manifest)
        bank.predict(1, first=500)

    monkeypatch.setattr(archiver._Archiver, "_publish", late)
    with psycopg.connect(bank.owner) as reader:
        reader.execute("SELECT * FROM predictions_20100512")
        (month,) = bank.archive()
        assert (month.days, month.refusal) == (29, ArchiveRefusal.IN_USE)
    assert bank.days() == ["predictions_20100512", "predictions_20100515"]
    assert len(bank.readable()) == 32
    monkeypatch.setattr(archiver._Archiver, "_publish", publish)
    (month,) = bank.archive()
    assert month.refusal is None
    assert bank.days() == []
    assert len(bank.readable()) == 32


def test_recent_months_and_a_retention_that_is_shorter_are_refused(bank: Bank) -> None:
    with pytest.raises(ConfigError, match="DEPOSIT_ARCHIVE__KEEP_MONTHS"):
        archive_months(bank.settings, f"{datetime.now(UTC):%Y-%m}")
    with pytest.raises(ConfigError, match="set it to 155 or more"):
        archive_months(bank.settings.changed("log", retention_days=120).changed("archive", keep_months=3))
