"""The cost of a million predictions at each stage, in CPU time, memory and bytes: `make bench-capacity`."""

import json
import os
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import psutil

from benchmarks import scoring
from benchmarks.contestants import peers
from benchmarks.machine import describe
from benchmarks.materials import Materials
from benchmarks.measurement import LOADS, Bench
from benchmarks.monitoring import create_real_rows, training_rows
from benchmarks.postgres import Database, database
from benchmarks.processes import Cores, peak
from benchmarks.ranking import rank
from benchmarks.report import Table
from benchmarks.watchers import EXPECTED, MODEL_ID, REFERENCE, THRESHOLD
from deposit import console
from deposit.log.archive import PREFIX
from deposit.progress import Progress
from deposit.sections import ScoreSettings, TrainSettings
from deposit.settings import REPOSITORY, Settings, variables
from deposit.store import ObjectStore

POSTGRES_PORT, FIRST_PORT, STORE_PORT = 19_490, 19_491, 19_500
ROWS = (100_000, 1_000_000)
MONTH = "2010-05"
_RANKED = 1_000_000
_TRAINED = (1, 10)
"""Numbers of copies of the real rows to train on."""
_SIZES = """
SELECT c.relname LIKE 'predictions%' AS ours, sum(pg_table_size(c.oid)), sum(pg_indexes_size(c.oid))
FROM pg_class c WHERE c.relkind = 'r' AND (c.relname ~ '^predictions_\\d' OR c.relname = 'outcomes') GROUP BY 1
"""


@dataclass
class Costs:
    """Collects the rows of the table."""

    rows: list[list[str]] = field(default_factory=list)

    def add(
        self, stage: str, size: int, cpu: float | None = None, beside: float | None = None,
        memory: float | None = None, per_row: float | None = None,
    ) -> None:  # fmt: skip
        """Add a stage; `cpu` and `beside` are seconds for all `size` rows, `memory` is MiB, `per_row` bytes."""
        million = size / 1e6
        values = [None if cpu is None else cpu / million, None if beside is None else beside / million, memory, per_row]
        cells = ["" if value is None else f"{value:,.3g}" if value < 10 else f"{value:,.0f}" for value in values]
        self.rows.append([stage, f"{size:,}", *cells])
        sys.stderr.write(f"{self.rows[-1]}\n")


def main() -> None:
    """Run the benchmark, print the table and write CAPACITY.md."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=ROWS)
    parser.add_argument("--seconds", type=int, default=10, help="duration of each load on the service")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="output folder of CAPACITY.md")
    parser.add_argument("--child", choices=list(_CHILDREN), help="internal: run one measurement in this process")
    options = parser.parse_args()
    if options.child:
        _child(options.child, options.rows[0])
        return
    state = REPOSITORY / ".deposit"
    state.mkdir(exist_ok=True)
    costs = Costs()
    with tempfile.TemporaryDirectory(prefix="bench-", dir=state) as name, console.progress() as progress:
        folder = Path(name)
        with database(folder, POSTGRES_PORT, frozenset(os.sched_getaffinity(0))) as server:
            machine = describe(folder, server.version())
            _serve(folder, server, options.seconds, costs, progress)
            with scoring.object_store(folder, STORE_PORT) as store:
                settings = Settings(
                    state_dir=folder, store=store, score=ScoreSettings(threads=1), train=TrainSettings(threads=1)
                )
                frame = training_rows(folder)
                scoring.mixture_of_all(frame).save(folder / "model")
                for rows in options.rows:
                    _month(server, settings, frame, rows, costs, progress)
                    _score(settings, frame, rows, costs, progress)
                for times in _TRAINED:
                    _run_child(
                        settings,
                        "train",
                        times * len(frame),
                        times * len(frame),
                        server,
                        costs,
                        "trained: 16 recipes, one fit",
                    )
    table = Table("Costs", _COLUMNS, costs.rows)
    console.table(table.title, table.columns, table.rows)
    (options.out / "CAPACITY.md").write_text(_markdown(table, machine, options.rows))


def _serve(folder: Path, server: Database, seconds: int, costs: Costs, progress: Progress) -> None:
    """Measure the service under load, the shipping of its log, and a ranked list."""
    progress("building the service")
    (folder / "serving").mkdir()
    materials = Materials.make(folder / "serving")
    service = peers(materials, server)[2]
    bench = Bench(materials, server.process, Cores.split(), range(FIRST_PORT, FIRST_PORT + 1), seconds, progress)
    done = bench.round([service])
    held = done.memory[service.letter].rss
    for load in LOADS:
        sample = done.samples[service.letter, load]
        rows = sample.result.requests * load.rows
        bodies = f"{load.rows} row{'s' * (load.rows > 1)} per request, {load.connections} connections"
        costs.add(f"served: {bodies}", rows, sample.server, None, held)
        costs.add(f"shipped: {bodies}", rows, None, sample.beside)
    _stored(server, "deposit", costs, "stored, as served")
    with bench.started(service, FIRST_PORT) as one:
        assert service.key is not None  # noqa: S101 - the service has a key
        ranked = rank(one.port, service.key, materials.table(_RANKED), _RANKED, one.process)
    costs.add("ranked: `POST /rank`", _RANKED, ranked.cpu, None, ranked.peak)


def _stored(server: Database, name: str, costs: Costs, stage: str) -> None:
    with server.connect(name) as connection:
        for ours, table, indexes in connection.execute(_SIZES).fetchall():
            kind = "predictions" if ours else "outcomes"
            row = connection.execute(f"SELECT count(*) FROM {kind}".encode()).fetchone()  # noqa: S608
            count = row[0] if row else 0
            if count:
                costs.add(f"{stage}: {kind}, table", count, per_row=float(table) / count)
                costs.add(f"{stage}: {kind}, indexes", count, per_row=float(indexes) / count)


def _month(
    server: Database, settings: Settings, frame: pd.DataFrame, rows: int, costs: Costs, progress: Progress
) -> None:
    """Measure a month of predictions: stored and monitored in PostgreSQL, archived, and monitored from the archive."""
    name = f"month_{rows}"
    progress(f"writing {rows:,} predictions and their outcomes")
    server.make(name)
    server.migrate(name)
    _fill(server, name, frame, rows)
    _stored(server, name, costs, "stored")
    bucket = ObjectStore(settings.store).data
    for key in bucket.keys(PREFIX):
        bucket.delete(key)
    here = settings.model_copy(update={"database": server.settings(name)})
    for child, stage in (
        ("monitor", "monitored in PostgreSQL"), ("archive", "archived"), ("monitor", "monitored from the archive"),
    ):  # fmt: skip
        progress(f"{stage}: {rows:,} rows")
        _run_child(here, child, rows, rows, server, costs, stage)


def _fill(server: Database, name: str, frame: pd.DataFrame, rows: int) -> None:
    """Insert copies of the real rows with ids like the service's, and outcomes drawn from their probabilities."""
    with server.connect(name) as connection:
        # backdated, because recently stored rows are not archived
        connection.execute("ALTER TABLE predictions ALTER stored_at SET DEFAULT '2010-06-02'")
        columns = create_real_rows(connection, frame)
        connection.execute(
            "INSERT INTO predictions (prediction_id, event_time, request_id, customer_id, model_id, "  # noqa: S608
            f"{columns}, probability, subscribes, threshold, latency_ms, client)"
            f" SELECT uuidv7(), '2010-05-01'::timestamptz + g * (interval '31 days' / {rows}),"
            f" gen_random_uuid()::text, (100000000 + g)::text, '{MODEL_ID}', {columns}, probability,"
            f" probability >= {THRESHOLD}, {THRESHOLD}, 1 + random() * 20, 'bench'"
            f" FROM generate_series(0, {rows - 1}) AS g JOIN real_rows ON place = g % {len(frame)}".encode()
        )
        connection.execute(
            "INSERT INTO outcomes (prediction_id, subscribed, at, received_at, client, request_id)"
            " SELECT prediction_id, random() < probability, '2010-06-05', '2010-06-05', 'bench', request_id"
            " FROM predictions"
        )
        connection.execute("VACUUM ANALYZE")


def _score(settings: Settings, frame: pd.DataFrame, rows: int, costs: Costs, progress: Progress) -> None:
    progress(f"scoring {rows:,} rows in batch")
    scoring.write_rows(settings, frame, rows, settings.state_dir)
    result = scoring.run_child(settings, "scored", rows, scoring.ONE_CORE)
    costs.add("scored in batch, 16 recipes", rows, rows / result["per_core"], None, result["peak"])


def _run_child(
    settings: Settings, child: str, rows: int, count: int, server: Database, costs: Costs, stage: str
) -> None:
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.capacity", "--child", child, "--rows", str(count)]
    environment = {**{name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH")}, **variables(settings)}
    beside = _server_seconds(server)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=REPOSITORY)
    if done.returncode:
        raise SystemExit(f"error: {child} failed: {done.stderr[-2000:]}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    size = result.get("size")
    costs.add(
        stage, rows, result["cpu"], None if child == "train" else _server_seconds(server) - beside, result["peak"],
        None if size is None else size / rows,
    )  # fmt: skip


def _server_seconds(server: Database) -> float:
    """Return the CPU time of PostgreSQL so far, including its processes that have ended."""
    total = 0.0
    for process in (server.process, *server.process.children()):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:  # its time is now included in the parent's
            continue
        total += times.user + times.system
        total += times.children_user + times.children_system if process == server.process else 0.0
    return total


def _child(name: str, rows: int) -> None:
    """Run one measurement and print the costs of this process, without its imports."""
    from deposit.settings import load_settings

    work = _CHILDREN[name](load_settings(), rows)
    begun = time.process_time()
    size = work()
    cost = {"cpu": time.process_time() - begun, "peak": peak(psutil.Process()), "size": size}
    sys.stdout.write(json.dumps(cost) + "\n")


def _archive(settings: Settings, _: int) -> Callable[[], int | None]:
    import duckdb  # noqa: F401 - imported before the clock starts

    from deposit.log.archiver import archive_months

    def archive() -> int:
        (month,) = archive_months(settings, MONTH)
        if month.refusal is not None:
            raise SystemExit(f"error: {month.refusal}")
        return month.size

    return archive


def _monitor(settings: Settings, _: int) -> Callable[[], int | None]:
    from deposit.model.expiry import Expiry
    from deposit.model.reference import ReferenceProfile
    from deposit.monitoring import (
        archived_rows,  # noqa: F401 - imported before the clock starts
        monitor,
    )

    reference = ReferenceProfile.from_json(json.loads((settings.state_dir / REFERENCE).read_text()))
    baseline = monitor.ModelBaseline(reference, THRESHOLD, EXPECTED, Expiry(None, None, 3, 6))
    setattr(monitor, "_registry", lambda *_: None)  # noqa: B010 - without MLflow
    setattr(monitor, "_baseline", lambda *_: baseline)  # noqa: B010

    def run() -> None:
        if len(monitor.monitor(settings, MONTH).models) != 1:
            raise SystemExit("error: no model was monitored")

    return run


def _train(settings: Settings, rows: int) -> Callable[[], int | None]:
    frame = scoring.history(settings.state_dir)
    many = pd.concat([frame] * (rows // len(frame)), ignore_index=True)

    def fit() -> None:
        scoring.mixture_of_all(many)

    return fit


_CHILDREN: Mapping[str, Callable[[Settings, int], Callable[[], int | None]]] = {
    "archive": _archive, "monitor": _monitor, "train": _train,
}  # fmt: skip
_COLUMNS = [
    "stage", "rows", "CPU s per million", "PostgreSQL and shipper: CPU s per million", "peak memory, MiB",
    "bytes per row",
]  # fmt: skip


def _markdown(table: Table, machine: Mapping[str, str], sizes: Sequence[int]) -> str:
    method = (
        "CPU time, user and system, which depends little on other load on the machine. `RESULTS.md` and `SCORING.md` "
        "have rates. *Served* is the service's process. *Shipped* is the shipper and PostgreSQL until everything is "
        "stored. *Monitored* and *archived* are the Python process, without its imports, and PostgreSQL separately; "
        "all predictions have outcomes. *Trained* counts training rows; `deposit train` fits each recipe once for each "
        "test month, and some recipes more often."
    )
    lines = "\n".join(f"- {subject}: {text}" for subject, text in machine.items())
    command = f"`make bench-capacity`, with `--rows {' '.join(map(str, sizes))}`"
    head = f"# Capacity, measured\n\nGenerated by {command}.\n\n{method}"
    return f"{head}\n\n{table.markdown()}\n## Machine\n\n{lines}\n"


if __name__ == "__main__":
    main()
