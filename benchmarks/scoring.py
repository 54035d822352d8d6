"""Batch scoring of Parquet files in a local S3, compared with XGBoost alone on arrays in memory: `make bench-score`."""

import json
import os
import platform
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import parquet

from benchmarks.cluster import cluster, loader
from benchmarks.processes import running
from benchmarks.report import Table, spread
from deposit import console
from deposit.data import ingest, periods, sources
from deposit.data.columns import CATEGORIES, NAMES
from deposit.deploy import objectstore
from deposit.deploy.layout import Layout
from deposit.errors import UpstreamError
from deposit.model.artifact import ModelArtifact
from deposit.progress import log_progress
from deposit.sections import IngestSettings, ScoreSettings, StoreSettings, TrainSettings
from deposit.settings import REPOSITORY, Settings, variables
from deposit.store import ObjectStore
from deposit.training.fitting import EncodedRows, fit, mix
from deposit.training.recipes import RECIPES, Trees

PORT = 18_970
ROWS = (1_000_000, 10_000_000)
_FILE_ROWS = 1_000_000
_ALONE_ROWS = 3_000_000
"""Maximum number of rows for XGBoost alone: its rate on the same matrix is stable from the second pass on."""
ONE_CORE = frozenset(sorted(os.sched_getaffinity(0))[:1])
"""The core that each measured process has to itself: on two cores, the other work of `deposit score` slows down its
XGBoost thread."""
_START_SECONDS = 60
_CLUSTER_ROWS = 1_000_000
_CLUSTERS = {"1 worker on 1 core": (1, 1), "2 workers on 2 cores": (2, 2), "1 worker on 2 cores": (1, 2)}
"""Numbers of workers and cores; the command and the scheduler run on the same cores."""
Measured = dict[tuple[int, str], list[dict[str, float]]]


def main() -> None:
    """Run the benchmark, print the tables and write SCORING.md."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, nargs="+", default=ROWS)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="output folder of SCORING.md")
    parser.add_argument("--child", help="internal: run one measurement in this process")
    options = parser.parse_args()
    if options.child:
        sys.stdout.write(json.dumps(_CHILDREN[options.child](options.rows[0])) + "\n")
        return
    state = REPOSITORY / ".deposit"
    state.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=state) as name, object_store(Path(name)) as store:
        settings = Settings(
            state_dir=Path(name), store=store, score=ScoreSettings(threads=1), train=TrainSettings(threads=1)
        )  # one thread, so that rates per core are comparable
        measured = _measure(settings, Path(name), options.rows, options.rounds)
        tables = [_table(measured, options.rows), _cluster_table(_on_clusters(settings, Path(name), options.rounds))]
    for table in tables:
        console.table(table.title, table.columns, table.rows)
    (options.out / "SCORING.md").write_text(_markdown(tables, options.rounds))


@contextmanager
def object_store(folder: Path, port: int = PORT) -> Iterator[StoreSettings]:
    """Run a local S3 until the block ends."""
    place = Layout(folder / "objects")
    place.make()
    identity = objectstore.Identity("bench", "bench-key", secrets.token_hex(8), ("Admin",))
    place.identities.write_text(objectstore.identities_file([identity]))
    objectstore.write(place.guard, secrets.token_hex(8))
    command = objectstore.command(place, port, port + 1)
    settings = StoreSettings(
        endpoint_url=f"http://127.0.0.1:{port}", access_key=identity.access_key, secret_key=identity.secret_key
    )
    with running(command, {"PATH": os.defpath}, frozenset(os.sched_getaffinity(0)), place.root / "output"):
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                ObjectStore(settings).ensure_buckets()
                break
            except UpstreamError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
        yield settings


def _on_clusters(settings: Settings, folder: Path, rounds: int) -> dict[str, list[dict[str, float]]]:
    """Time all runs over Dask, alternating between clusters: elapsed seconds, and CPU seconds of each component."""
    allowed = sorted(os.sched_getaffinity(0))
    measured: dict[str, list[dict[str, float]]] = {}
    write_rows(settings, history(folder), _CLUSTER_ROWS, folder)
    for number in range(1, rounds + 1):
        for title, (workers, count) in _CLUSTERS.items():
            log_progress(f"Dask: {title}, round {number} of {rounds}")
            cores = frozenset(allowed[:count])
            with cluster(workers, cores, folder, folder / "model") as started:
                before = started.cpu()
                changed = settings.model_copy(update={"compute": started.settings})
                run = run_child(changed, "scored", _CLUSTER_ROWS, cores)
                scheduler, both = (after - first for after, first in zip(started.cpu(), before, strict=True))
            command = _CLUSTER_ROWS / run["per_core"]
            figures = {"seconds": run["seconds"], "command": command, "scheduler": scheduler, "workers": both}
            measured.setdefault(title, []).append(figures)
    return measured


def _measure(settings: Settings, folder: Path, sizes: Sequence[int], rounds: int) -> Measured:
    frame = history(folder)
    mixture_of_all(frame).save(folder / "model")
    measured: Measured = {}
    for rows in sizes:
        write_rows(settings, frame, rows, folder)
        for number in range(1, rounds + 1):
            for child in _CHILDREN:
                log_progress(f"{child}: {rows:,} rows, round {number} of {rounds}")
                measured.setdefault((rows, child), []).append(run_child(settings, child, rows, ONE_CORE))
    return measured


def history(folder: Path) -> pd.DataFrame:
    """Return the real rows with their months."""
    good = ingest.check(sources.fetch(IngestSettings(), folder, log_progress), log_progress).good
    return good.assign(period=periods.assign(good["month"], 2008, 2026))


def mixture_of_all(frame: pd.DataFrame) -> ModelArtifact:
    """Fit a mixture of all recipes with equal weights, which has as many trees as a champion of `deposit train`."""
    learned = EncodedRows.of(frame)
    members = [fit(recipe, learned, Trees(), seed=7) for recipe in RECIPES]
    weights = dict.fromkeys((member.recipe.name for member in members), 1 / len(members))
    return ModelArtifact("mixture", learned.encoder, mix(members, weights, learned.encoder), 0.0, 0.1)


def write_rows(settings: Settings, frame: pd.DataFrame, rows: int, folder: Path) -> None:
    """Write random samples of the real rows, with a varied Euribor rate, as Parquet files to the object store."""
    table = pa.Table.from_pandas(frame[list(NAMES)].astype(dict.fromkeys(CATEGORIES, object)), preserve_index=False)
    random, bucket = np.random.default_rng(7), ObjectStore(settings.store).data
    for first in range(0, rows, _FILE_ROWS):
        path, count = folder / "rows.parquet", min(_FILE_ROWS, rows - first)
        part = table.take(pa.array(random.integers(0, len(table), count)))
        place = NAMES.index("euribor3m")
        rates = np.round(part["euribor3m"].to_numpy() * 1000 + random.integers(-30, 30, count)) / 1000
        part = part.set_column(place, "euribor3m", pa.array(rates))
        parquet.write_table(part.append_column("id", pa.array(np.arange(first, first + count))), path)
        bucket.upload(path, f"bench/{rows}/{first // _FILE_ROWS:04d}.parquet")


def run_child(settings: Settings, child: str, rows: int, cores: frozenset[int]) -> dict[str, float]:
    """Run one measurement in a child process on these cores, and return its result."""
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.scoring", "--child", child, "--rows", str(rows)]
    environment = {**{name: os.environ[name] for name in ("PATH", "HOME")}, **variables(settings)}
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=REPOSITORY)
    finally:
        os.sched_setaffinity(0, allowed)
    if done.returncode:
        raise SystemExit(f"error: {child} failed: {done.stderr[-2000:]}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _alone(rows: int) -> dict[str, float]:
    """Time XGBoost on an encoded matrix in memory, repeated until `rows` rows are scored, at most `_ALONE_ROWS`."""
    from deposit.data.blocks import check_table
    from deposit.settings import load_settings

    settings = load_settings()
    path = settings.state_dir / "rows.parquet"
    artifact = ModelArtifact.load(settings.state_dir / "model", threads=1)
    table = parquet.read_table(path)
    matrix = artifact.encoder.encode_columns(check_table(table, np.arange(len(table))).columns)
    forest: Any = artifact.scorer.forest  # type: ignore[union-attr]
    begun, cpu, done = time.perf_counter(), time.process_time(), 0
    while done < min(rows, _ALONE_ROWS):
        forest.inplace_predict(matrix, predict_type="margin")
        done += len(matrix)
    return _figures(done, time.perf_counter() - begun, time.process_time() - cpu)


def _scored(rows: int) -> dict[str, float]:
    """Time `deposit score` from S3 to S3, with the model already on disk and without MLflow."""
    import boto3  # noqa: F401 - imported before the clock starts
    import distributed  # noqa: F401

    from deposit.registry.registry import ModelRegistry
    from deposit.registry.versions import Version
    from deposit.scoring import score as scoring
    from deposit.scoring.score import ScoreRequest, score
    from deposit.settings import load_settings

    settings = load_settings()
    version = Version("deposit-v1", 1, "run", "2026", "d", {}, ("champion",))
    setattr(ModelRegistry, "champion", lambda _: version)  # noqa: B010
    setattr(ModelRegistry, "load", lambda *_: ModelArtifact.load(settings.state_dir / "model", threads=1))  # noqa: B010
    setattr(scoring, "_model", lambda *_: loader(settings.state_dir / "model"))  # noqa: B010
    request = ScoreRequest(
        f"s3://{settings.store.data_bucket}/bench/{rows}", f"s3://{settings.store.data_bucket}/scores/{rows}",
        overwrite=True, restart=True,
    )  # fmt: skip
    begun, cpu = time.perf_counter(), time.process_time()
    result = score(settings, request, lambda *_: None)
    return _figures(result.rows, time.perf_counter() - begun, time.process_time() - cpu)


def _figures(rows: int, seconds: float, cpu: float) -> dict[str, float]:
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return {"seconds": seconds, "rate": rows / seconds, "per_core": rows / cpu, "peak": int(peak.split()[1]) / 1024}


_CHILDREN = {"alone": _alone, "scored": _scored}
_TITLES = {"alone": "`inplace_predict` on a matrix in memory", "scored": "`deposit score`, S3 to S3"}


def _table(measured: Measured, sizes: Sequence[int]) -> Table:
    rows = []
    for size in sizes:
        alone = statistics.median(each["per_core"] for each in measured[size, "alone"])
        for child, title in _TITLES.items():
            runs = measured[size, child]
            figures = [spread(each[name] for each in runs) for name in ("seconds", "rate", "per_core", "peak")]
            share = statistics.median(each["per_core"] for each in runs) / alone
            rows.append([f"{size:,}", title, *figures, f"{share:.0%}"])
    columns = ["rows", "program", "s", "rows/s", "rows/s per core", "peak memory, MiB", "relative rate per core"]
    return Table("Parquet to Parquet", columns, rows)


def _cluster_table(measured: dict[str, list[dict[str, float]]]) -> Table:
    parts = ("command", "scheduler", "workers")
    medians = {
        title: (
            statistics.median(run["seconds"] for run in runs),
            statistics.median(sum(run[part] for part in parts) for run in runs) / _CLUSTERS[title][1],
        )
        for title, runs in measured.items()
    }
    seconds, least = medians[next(iter(_CLUSTERS))]
    rows = []
    for title, runs in measured.items():
        cells = [spread(run[part] for run in runs) for part in ("seconds", *parts)]
        rows.append([title, *cells, f"{seconds / medians[title][0]:.2f}", f"{least / medians[title][1]:.2f}"])
    columns = [
        "cluster", "s", "CPU s: command", "scheduler", "workers", "speed-up", "maximum speed-up, by CPU time",
    ]  # fmt: skip
    return Table(f"Over Dask, {_CLUSTER_ROWS:,} rows", columns, rows)


def _markdown(tables: Sequence[Table], rounds: int) -> str:
    cores = len(os.sched_getaffinity(0))
    return (
        f"# Batch scoring, timed\n\nGenerated by `make bench-score`.\n\n"
        "Random samples of the real rows, in files of a million rows, in SeaweedFS on the same machine. Each "
        "measured process has a core of its own, and the store has the other. `deposit score` is timed with all its "
        "steps (download, check, encode, score, sort, rank, write, upload, manifest) except imports and MLflow. "
        "XGBoost gets an encoded matrix of a million rows in memory, repeatedly up to "
        f"{_ALONE_ROWS:,} rows. *Rows/s per core* are rows per second of CPU time. "
        f"The model mixes all {len(RECIPES)} recipes. "
        f"{rounds} rounds, alternating; cells show the median and, in parentheses, the lowest and the highest.\n\n"
        f"{tables[0].markdown()}\n"
        "Each Dask worker has one thread. Workers check, encode and score. The command, which reads, sorts, ranks and "
        "writes, and the scheduler share the workers' cores. *Maximum speed-up* assumes that no core ever waits.\n\n"
        f"{tables[1].markdown()}\n"
        f"{datetime.now(UTC):%Y-%m-%d}, {cores} cores, load {os.getloadavg()[0]:.1f}, "
        f"{platform.system()}, Python {platform.python_version()}.\n"
    )


if __name__ == "__main__":
    main()
