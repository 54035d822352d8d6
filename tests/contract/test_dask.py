"""What runs on a Dask cluster gives what it gives without; a real scheduler, two workers, each a process."""

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from dask_cluster import DaskCluster, dask_cluster, die_once

from deposit import compute
from deposit.compute import pool
from deposit.data.columns import CATEGORIES, NAMES
from deposit.errors import ConfigError, UpstreamError
from deposit.model.artifact import ModelArtifact
from deposit.scoring import batch_scoring
from deposit.scoring.batch_scoring import BatchScoring
from deposit.scoring.inputs import find_inputs
from deposit.scoring.journal import Journal, RunDone, ScorePlan
from deposit.scoring.output import MANIFEST, output_folder
from deposit.sections import ComputeSettings, StoreSettings
from deposit.store import ObjectStore
from deposit.training.fitting import EncodedRows, fit, mix
from deposit.training.forward_cache import ForwardCache
from deposit.training.recipes import Recipe, Trees
from deposit.training.rolling_origin import Fitting, Trainer

TOLERANCE = 1e-9
"""Of log-odds, on machines with other processors; between processes of one machine there is no difference."""
pytestmark = [pytest.mark.servers, pytest.mark.timeout(900)]
TABLE = (
    Recipe("strong", "logistic", inverse_l2=0.001),
    Recipe("trees", "xgboost", tuned=True),
    Recipe("rates", "rates", window=6),
)


@pytest.fixture(scope="module")
def cluster() -> Iterator[DaskCluster]:
    with dask_cluster(workers=2) as started:
        yield started


@pytest.fixture
def remote(cluster: DaskCluster) -> ComputeSettings:
    return ComputeSettings(scheduler=cluster.address, patience=180)


@pytest.fixture(scope="module")
def sample(history: pd.DataFrame) -> pd.DataFrame:
    return history.iloc[::10].reset_index(drop=True)


@pytest.fixture(scope="module")
def model(sample: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    learned, folder = EncodedRows.of(sample), tmp_path_factory.mktemp("model")
    members = [fit(recipe, learned, Trees(trees=20), seed=7) for recipe in TABLE]
    mixture = mix(members, dict.fromkeys((each.name for each in TABLE), 1 / len(TABLE)), learned.encoder)
    ModelArtifact("mixture", learned.encoder, mixture, 0.1, 0.2).save(folder)
    return folder


@pytest.fixture
def source(sample: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Parquet and CSV, with bad rows in both, in many blocks."""
    monkeypatch.setattr(batch_scoring, "RUN_ROWS", 800)
    monkeypatch.setattr("deposit.scoring.reading.BLOCK_ROWS", 200)
    monkeypatch.setattr("deposit.data.blocks.BLOCK_ROWS", 200)
    rows = sample[list(NAMES)].astype(dict.fromkeys(CATEGORIES, object))
    rows = rows.assign(id=[f"c-{number}" for number in range(len(rows))])
    rows = rows.assign(age=rows["age"].where(rows.index % 100 > 0, 7))
    (tmp_path / "in").mkdir()
    rows.iloc[:2500].to_parquet(tmp_path / "in" / "a.parquet", row_group_size=900)
    rows.iloc[2500:].to_csv(tmp_path / "in" / "b.csv", index=False)
    return tmp_path / "in"


@pytest.fixture
def make_scoring(model: Path, source: Path, tmp_path: Path) -> Callable[..., BatchScoring]:
    """A run into a folder of `tmp_path`; the same call again goes on with it."""

    def make(name: str, settings: ComputeSettings, progress: Any = lambda *_: None) -> BatchScoring:
        scratch, store = tmp_path / f"scratch-{name}", ObjectStore(StoreSettings())
        scratch.mkdir(exist_ok=True)
        folder, journal = output_folder(str(tmp_path / name), store), Journal(scratch / "journal.jsonl")
        plan = journal.plan or ScorePlan(
            run_id="0123456789abcdef" * 2, output="out", inputs=tuple(find_inputs(str(source), store)),
            model_id="deposit-v3", deposit_value=10.0, call_cost=1.0, period="", is_logged=False, event_time=0,
        )  # fmt: skip
        if journal.plan is None:
            journal.add(plan)
        load = partial(ModelArtifact.load, model)
        return BatchScoring(plan, journal, load, settings, 2, store, folder, scratch, None, progress)

    return make


def _content(folder: Path) -> dict[str, bytes]:
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    lines = files[MANIFEST].splitlines()
    files[MANIFEST] = b"\n".join(line for line in lines if b'"created"' not in line)
    assert len(lines) > len(files[MANIFEST].splitlines())
    return files


def test_a_batch_is_the_same_bytes_though_it_is_killed_and_so_is_a_worker(
    make_scoring: Callable[..., BatchScoring], cluster: DaskCluster, remote: ComputeSettings, tmp_path: Path
) -> None:
    make_scoring("here", ComputeSettings()).run()
    here = _content(tmp_path / "here")
    assert len([name for name in here if name.startswith("_quarantine")]) > 2

    class StoppedError(Exception):
        """Ends a run in the middle."""

    messages: list[str] = []
    cluster.add_worker()
    scoring = make_scoring("there", remote, lambda message, *_: messages.append(message))
    add = scoring.journal.add

    def kill_then_stop(entry: RunDone) -> None:
        add(entry)
        if len(scoring.journal.runs) == 1:
            cluster.workers[-1].kill()
        if len(scoring.journal.runs) == 3:
            raise StoppedError

    scoring.journal.add = kill_then_stop  # type: ignore[assignment, method-assign]
    with pytest.raises(StoppedError):
        scoring.run()
    make_scoring("there", remote).run()
    assert _content(tmp_path / "there") == here
    assert any("rows scored" in message for message in messages)


def test_a_worker_that_is_killed_while_it_works_loses_nothing(
    cluster: DaskCluster, remote: ComputeSettings, tmp_path: Path
) -> None:
    cluster.add_worker()
    with pool(remote, 1) as workers:
        numbers = workers.map(die_once, [(tmp_path / "mark", number) for number in range(8)])
        assert list(numbers) == [number * number for number in range(8)]
    assert (tmp_path / "mark").exists()
    assert any(worker.poll() == -signal.SIGKILL for worker in cluster.workers)


def test_months_and_recipes_are_scored_and_fitted_alike(sample: pd.DataFrame, remote: ComputeSettings) -> None:
    frame = sample[sample["period"] < "2009-03"]
    here, there = (
        Trainer(frame, Fitting(trials=2, recipes=TABLE, compute=each), ForwardCache())
        for each in (ComputeSettings(), remote)
    )
    ours, theirs = here.score(), there.score()
    assert (ours.recipes, ours.folds) == (theirs.recipes, theirs.folds)
    np.testing.assert_allclose(ours.log_odds, theirs.log_odds, rtol=0, atol=TOLERANCE)
    labelled = sorted(here.months)
    rows, members = here.fit(labelled, TABLE)
    for mine, other in zip(members, there.fit(labelled, TABLE)[1], strict=True):
        assert mine.recipe == other.recipe
        np.testing.assert_allclose(
            mine.log_odds(rows.encoder, rows.matrix), other.log_odds(rows.encoder, rows.matrix), rtol=0, atol=TOLERANCE
        )


def test_a_scheduler_that_does_not_answer_is_named(free_ports: Callable[[int], int]) -> None:
    address = f"tcp://127.0.0.1:{free_ports(1)}"
    with (
        pytest.raises(UpstreamError, match=f"no Dask scheduler answers at {address}"),
        pool(ComputeSettings(scheduler=address), 1),
    ):
        pass


def test_workers_that_run_other_code_are_refused_by_name(tmp_path: Path) -> None:
    other = tmp_path / "deposit"
    shutil.copytree(Path(compute.__file__).parent, other, ignore=shutil.ignore_patterns("__pycache__"))
    (other / "files.py").write_text((other / "files.py").read_text() + "\n")
    with dask_cluster(workers=0) as started:
        started.add_worker(PYTHONPATH=os.pathsep.join([str(tmp_path), started.environment["PYTHONPATH"]]))
        settings = ComputeSettings(scheduler=started.address, patience=180)
        message = r"worker tcp://.* runs other versions than this .*\(deposit \w+ instead"
        with pytest.raises(ConfigError, match=message), pool(settings, 1):
            pass


def test_a_scheduler_without_workers_is_given_up_and_one_that_goes_away_is_named() -> None:
    with dask_cluster(workers=0) as empty:
        settings = ComputeSettings(scheduler=empty.address, patience=0.2)
        with pytest.raises(UpstreamError, match=r"has had no worker for 0 s"), pool(settings, 1):
            pass

        empty.add_worker()
        settings = ComputeSettings(scheduler=empty.address, patience=180)
        with pool(settings, 1) as workers:
            numbers = workers.map(pow, [(number, 2) for number in range(50)])
            assert next(numbers) == 0
            empty.scheduler.kill()
            with pytest.raises(UpstreamError, match=f"scheduler {empty.address} was lost"):
                list(numbers)
