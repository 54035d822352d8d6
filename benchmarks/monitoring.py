"""Monitoring a month of predictions in PostgreSQL, compared with Evidently on the raw frame, and its dashboards.

Part of `make bench`.
"""

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
"""Maximum number of rows for Evidently: beyond, it takes minutes and tens of GiB."""
_SECONDS = 1800
_TITLES = {"counted": "`deposit monitor`", "evidently": "Evidently on the raw frame"}
Runs = dict[tuple[int, str], list[dict[str, float]]]


def main() -> None:
    """Run the benchmark, print the tables and write MONITORING.md."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, nargs="+", default=ROWS)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="output folder of MONITORING.md")
    options = parser.parse_args()
    state = REPOSITORY / ".deposit"
    state.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=state) as name, console.progress() as progress:
        folder = Path(name)
        training = training_rows(folder)
        with database(folder, PORT, frozenset(os.sched_getaffinity(0))) as server:
            machine = describe(folder, server.version())
            runs = _measure(folder, server, training, options.rows, options.rounds, progress)
            shown = _show(server, options.rows, options.rounds, progress)
        whole = _whole_commands(folder, training, max(options.rows), options.rounds, progress)
    tables = [_table(runs), whole, panels.table(shown)]
    for table in tables:
        console.table(table.title, table.columns, table.rows)
    (options.out / "MONITORING.md").write_text(_markdown(tables, machine, options.rounds, options.rows))


def training_rows(folder: Path) -> pd.DataFrame:
    """Return the real rows with a score, and write the reference files of both watchers to the folder."""
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
) -> Runs:
    runs: Runs = {}
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
                runs.setdefault((rows, watcher), []).append(_run_watcher(server, name, watcher, folder))
    return runs


def _show(
    server: Database, sizes: Sequence[int], rounds: int, progress: Progress
) -> dict[int, list[panels.QueryTimes]]:
    shown: dict[int, list[panels.QueryTimes]] = {}
    for rows in sizes:
        with server.connect(_name(rows)) as connection:
            panels.fill(connection)
            for number in range(1, rounds + 1):
                progress(f"dashboards: {rows:,} predictions, round {number} of {rounds}")
                shown.setdefault(rows, []).append(panels.time_queries(connection))
    return shown


def _name(rows: int) -> str:
    return f"month_{rows}"


def create_real_rows(connection: psycopg.Connection[Any], frame: pd.DataFrame) -> str:
    """Create the partitions of May 2010 and the temporary table `real_rows`, numbered from 0.

    Returns the feature columns as an SQL list.
    """
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
    """Insert copies of the real rows over the first `days` of May, with outcomes drawn from their probabilities."""
    columns = create_real_rows(connection, training)
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
    """Time the whole command for a day with predictions and a day without, on a stack with a champion."""
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
        "The whole command `deposit monitor --date`, with its report",
        ["predictions of the day", "s", "CPU s of the command", "peak memory, MiB"],
        [[f"{size:,}", *(spread(each) for each in zip(*samples, strict=True))] for size, samples in costs.items()],
    )


def _run_watcher(server: Database, name: str, watcher: str, folder: Path) -> dict[str, float]:
    url = server.settings(name).url
    assert url is not None  # noqa: S101 - `settings` always sets it
    environment = {**os.environ, watchers.URL: url.get_secret_value(), "DO_NOT_TRACK": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "benchmarks.watchers", watcher, str(folder)],
        env=environment, capture_output=True, text=True, check=False, timeout=_SECONDS,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"error: {watcher} failed: {done.stderr[-2000:]}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _table(runs: Runs) -> Table:
    rows = [
        [
            f"{size:,}",
            _TITLES[watcher],
            spread(run["seconds"] for run in samples),
            spread(run["peak"] for run in samples),
            spread(
                theirs["seconds"] / ours["seconds"] for ours, theirs in zip(runs[size, "counted"], samples, strict=True)
            ),
        ]
        for (size, watcher), samples in runs.items()
    ]
    columns = ["predictions", "tool", "s", "peak memory of the Python process, MiB", "relative time"]
    return Table("A month of one model", columns, rows)


def _markdown(tables: Sequence[Table], machine: Mapping[str, str], rounds: int, sizes: Sequence[int]) -> str:
    method = (
        "A month of predictions by one model in PostgreSQL: copies of the real rows, all with outcomes. "
        "`deposit monitor` aggregates them there: drift of 20 columns and the score, data quality, performance with "
        "intervals, the assessment and its stored metrics (the model is already loaded, MLflow is not used). Evidently "
        "reads the rows into a frame and computes its presets for drift, summary and classification with their "
        "defaults, without HTML. Each runs in its own process and is timed after its imports, including the work of "
        f"PostgreSQL; {rounds} rounds, alternating, on all cores. Cells show the median and, in parentheses, the "
        "lowest and the highest.\n\n"
        "Then the whole command on a stack, from start to end: imports, the model from MLflow, aggregation, and the "
        "Evidently report into the object store; for a day with all of the predictions and for a day without any.\n\n"
        "Then the dashboards' queries on that month, with 803,520 rows of traffic: every panel, variable and "
        "annotation, for the last day, the last week and the whole month, without a filter and filtered by client or "
        "id, one query after the other, in as many rounds."
    )
    lines = "\n".join(f"- {subject}: {text}" for subject, text in machine.items())
    body = "\n".join(table.markdown() for table in tables)
    command = f'`make bench BENCH_ROWS="{" ".join(map(str, sizes))}"`'
    return f"# Monitoring, timed\n\nGenerated by {command}.\n\n{method}\n\n{body}\n## Machine\n\n{lines}\n"


if __name__ == "__main__":
    main()
