"""A month's predictions counted in PostgreSQL, beside Evidently on the raw frame, and shown: `make bench` too."""

import json
import os
import subprocess
import sys
import tempfile
from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psycopg

from benchmarks import panels, watchers
from benchmarks.machine import describe
from benchmarks.postgres import Database, database
from benchmarks.report import Table, spread
from benchmarks.stack import CommandCost, stack
from deposit import console
from deposit.data import ingest, periods, sources
from deposit.data.columns import CATEGORIES, FEATURES, NAMES
from deposit.progress import Progress, log_progress
from deposit.sections import IngestSettings
from deposit.settings import REPOSITORY
from deposit.training.fitting import EncodedRows, fit_rates
from deposit.training.profiling import profile_reference
from deposit.training.recipes import FALLBACK

PORT = 18_889
STACK_PORTS = range(18_900, 18_917)
ROWS = (100_000, 1_000_000)
_COUNTED_ALONE = 2_000_000
"""Beyond so many rows Evidently is not asked: it takes minutes and tens of GiB."""
_SECONDS = 1800
_TITLES = {"counted": "`deposit monitor`", "evidently": "Evidently on the raw frame"}
Looks = dict[tuple[int, str], list[dict[str, float]]]


def main() -> None:
    """Measure, print and write."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, nargs="+", default=ROWS)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder of MONITORING.md")
    options = parser.parse_args()
    state = REPOSITORY / ".deposit"
    state.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=state) as name, console.progress() as progress:
        folder = Path(name)
        training = training_rows(folder)
        with database(folder, PORT, frozenset(os.sched_getaffinity(0))) as server:
            machine = describe(folder, server.version())
            looks = _measure(folder, server, training, options.rows, options.rounds, progress)
            shown = _show(server, options.rows, options.rounds, progress)
        whole = _whole_commands(folder, training, max(options.rows), options.rounds, progress)
    tables = [_table(looks), whole, panels.table(shown)]
    for table in tables:
        console.table(table.title, table.columns, table.rows)
    (options.out / "MONITORING.md").write_text(_markdown(tables, machine, options.rounds, options.rows))


def training_rows(folder: Path) -> pd.DataFrame:
    """The real rows with a score, as both watchers know them."""
    good = ingest.check(sources.fetch(IngestSettings(), folder, log_progress), log_progress).good
    frame = good.assign(period=periods.assign(good["month"], 2008, 2026), probability=_scores(len(good)))
    frame["called"] = (frame["probability"] >= watchers.THRESHOLD).astype(int)
    rates = fit_rates(FALLBACK, EncodedRows.of(frame))
    reference = profile_reference(frame, frame["probability"].to_numpy(), rates)
    (folder / watchers.REFERENCE).write_text(json.dumps(reference.to_json()))
    kept = frame[[*NAMES, "probability", "called", "y"]].astype(dict.fromkeys(CATEGORIES, object))
    kept.to_parquet(folder / watchers.TRAINING)
    return frame


def _scores(rows: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.random.default_rng(7).random(rows) ** 3


def _measure(
    folder: Path, server: Database, training: pd.DataFrame, sizes: Sequence[int], rounds: int, progress: Progress
) -> Looks:
    looks: Looks = {}
    for rows in sizes:
        progress(f"writing {rows:,} predictions and their outcomes")
        name = _name(rows)
        server.make(name)
        server.migrate(name)
        with server.connect(name) as connection:
            _fill(connection, training, rows, days=31)
        who = watchers.WATCHERS if rows <= _COUNTED_ALONE else ("counted",)
        for number in range(1, rounds + 1):
            for watcher in who:
                progress(f"{watcher}: {rows:,} predictions, round {number} of {rounds}")
                looks.setdefault((rows, watcher), []).append(_look(server, name, watcher, folder))
    return looks


def _show(server: Database, sizes: Sequence[int], rounds: int, progress: Progress) -> dict[int, list[panels.Look]]:
    shown: dict[int, list[panels.Look]] = {}
    for rows in sizes:
        with server.connect(_name(rows)) as connection:
            panels.fill(connection)
            for number in range(1, rounds + 1):
                progress(f"dashboards: {rows:,} predictions, round {number} of {rounds}")
                shown.setdefault(rows, []).append(panels.look(connection))
    return shown


def _name(rows: int) -> str:
    return f"month_{rows}"


def hold_real_rows(connection: psycopg.Connection[Any], frame: pd.DataFrame) -> str:
    """Make the days of May 2010 and the temporary table `real_rows`, numbered from 0; its columns, as SQL."""
    columns = ", ".join(f'"{column.sql_name}"' for column in FEATURES)
    connection.execute(
        "SELECT make_prediction_days((SELECT array_agg(d::date) FROM generate_series("
        "'2010-05-01'::date, '2010-05-31', '1 day') AS d))"
    )
    connection.execute(
        f"CREATE TEMP TABLE real_rows AS SELECT 0 AS place, {columns}, probability FROM predictions".encode()  # noqa: S608
    )
    with connection.cursor().copy("COPY real_rows FROM STDIN") as copy:
        for place, row in enumerate(frame[[*NAMES, "probability"]].itertuples(index=False)):
            copy.write_row((place, *row))
    return columns


def _fill(connection: psycopg.Connection[Any], training: pd.DataFrame, rows: int, days: int) -> None:
    """The real rows over and over, spread over days of May, each with an outcome that agrees with its score."""
    columns = hold_real_rows(connection, training)
    connection.execute(
        "INSERT INTO predictions (prediction_id, event_time, request_id, model_id, "  # noqa: S608
        f"{columns}, probability, subscribes, threshold, latency_ms, client)"
        f" SELECT gen_random_uuid(), '2010-05-01'::timestamptz + g * (interval '{days} days' / {rows}), 'r',"
        f" '{watchers.MODEL_ID}', {columns}, probability, probability >= {watchers.THRESHOLD},"
        f" {watchers.THRESHOLD}, 1 + random() * 20, 'bench'"
        f" FROM generate_series(0, {rows - 1}) AS g JOIN real_rows ON place = g % {len(training)}".encode()
    )
    connection.execute(
        "INSERT INTO outcomes (prediction_id, subscribed, at, received_at, client, request_id)"
        " SELECT prediction_id, random() < probability, '2010-06-05', '2010-06-05', 'bench', 'r' FROM predictions"
    )
    connection.execute("VACUUM ANALYZE predictions, outcomes")


def _whole_commands(folder: Path, training: pd.DataFrame, rows: int, rounds: int, progress: Progress) -> Table:
    """What a person waits for who watches a day, and one without predictions, on a stack with a champion."""
    progress("starting a stack, training its champion")
    with stack(folder, STACK_PORTS) as around:
        for word in ("ingest", "train", "select"):
            around.run(word)
        progress(f"writing a day of {rows:,} predictions and their outcomes")
        with around.connect() as connection:
            _fill(connection, training, rows, days=1)
        costs: dict[int, list[CommandCost]] = {rows: [], 0: []}
        for number in range(1, rounds + 1):
            for size, date in ((rows, "2010-05-01"), (0, "2010-05-02")):
                progress(f"deposit monitor: {size:,} predictions, round {number} of {rounds}")
                costs[size].append(around.cost("monitor", "--date", date))
    return Table(
        "The command `deposit monitor --date`, whole, with its report",
        ["predictions of the day", "s", "processor s of the command", "peak memory, MiB"],
        [[f"{size:,}", *(spread(each) for each in zip(*samples, strict=True))] for size, samples in costs.items()],
    )


def _look(server: Database, name: str, watcher: str, folder: Path) -> dict[str, float]:
    url = server.settings(name).url
    assert url is not None  # noqa: S101 - made with one
    environment = {**os.environ, watchers.URL: url.get_secret_value(), "DO_NOT_TRACK": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "benchmarks.watchers", watcher, str(folder)],
        env=environment, capture_output=True, text=True, check=False, timeout=_SECONDS,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"error: {watcher} failed: {done.stderr[-2000:]}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _table(looks: Looks) -> Table:
    rows = [
        [
            f"{size:,}",
            _TITLES[watcher],
            spread(look["seconds"] for look in samples),
            spread(look["peak"] for look in samples),
            spread(
                theirs["seconds"] / ours["seconds"]
                for ours, theirs in zip(looks[size, "counted"], samples, strict=True)
            ),
        ]
        for (size, watcher), samples in looks.items()
    ]
    columns = ["predictions", "by", "s", "peak memory of the Python process, MiB", "times as long"]
    return Table("A month of one model", columns, rows)


def _markdown(tables: Sequence[Table], machine: Mapping[str, str], rounds: int, sizes: Sequence[int]) -> str:
    method = (
        "A month of predictions by one model, the real rows over and over, all with outcomes, in PostgreSQL. "
        "`deposit monitor` counts it there: drift of 20 columns and the score, quality, performance with intervals, "
        "the verdict, figures stored (the model itself is at hand: MLflow is not asked). Evidently reads the rows into "
        "a frame and computes its presets for drift, summary and classification with their defaults, no HTML. "
        f"Each is a process of its own, timed after its imports; {rounds} rounds, one after the other in turn, on all "
        "cores, PostgreSQL's work included. Cells show the median and, in brackets, the lowest and the highest.\n\n"
        "Then the whole command on a stack, from its start to its end: imports, the model from MLflow, counts, the "
        "report by Evidently into the object store; of a day with all of the predictions, and of one without any.\n\n"
        "Then the dashboards are asked for all they show of that month, beside 803,520 rows of traffic: every panel, "
        "variable and mark, of its last day, its last week and all of it, with everything open and with a client or an "
        "id chosen, one query after the other, in as many rounds."
    )
    lines = "\n".join(f"- {subject}: {text}" for subject, text in machine.items())
    body = "\n".join(table.markdown() for table in tables)
    made = f'`make bench BENCH_ROWS="{" ".join(map(str, sizes))}"`'
    return f"# Monitoring, timed\n\nMade by {made}.\n\n{method}\n\n{body}\n## Machine\n\n{lines}\n"


if __name__ == "__main__":
    main()
