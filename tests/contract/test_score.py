import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet
import pytest
import scored
from inprocess import InProcess
from sqlalchemy import text
from typer.testing import CliRunner

from deposit.cli import app
from deposit.data.columns import CATEGORIES, NAMES
from deposit.database import connect
from deposit.errors import ConfigError, ContractError, SourceError, UpstreamError
from deposit.scoring import batch_scoring, reading
from deposit.scoring.output import MANIFEST
from deposit.scoring.score import ScoreRequest, score
from deposit.settings import Settings, variables
from deposit.store import ObjectStore

pytestmark = [pytest.mark.servers, pytest.mark.usefixtures("registered")]
OUT = "s3://deposit-data/scores/today"


@pytest.fixture(scope="module")
def rows(history: pd.DataFrame) -> pd.DataFrame:
    chosen = history[list(NAMES)].astype(dict.fromkeys(CATEGORIES, object)).iloc[:20_000]
    return chosen.assign(id=[f"c-{number}" for number in range(len(chosen))])


@pytest.fixture
def bank(servers: Settings, rows: pd.DataFrame, tmp_path: Path) -> Settings:
    """The rows in the store, as a bank leaves them there: two files of Parquet, one CSV, and a marker."""
    bucket = ObjectStore(servers.store).data
    for number, name in enumerate(("a.parquet", "b.parquet", "c.csv")):
        part, path = rows.iloc[number * 7000 : (number + 1) * 7000], tmp_path / name
        if name.endswith("csv"):
            part.to_csv(path, index=False, sep=";")
        else:
            part.to_parquet(path, row_group_size=2000)
        bucket.upload(path, f"customers/2026/{name}")
    bucket.put("customers/2026/_SUCCESS", b"done")
    return servers


def _results(settings: Settings, output: str, folder: Path) -> pd.DataFrame:
    bucket = ObjectStore(settings.store).data
    prefix = output.removeprefix("s3://deposit-data/") + "/"
    frames = []
    for key in bucket.keys(f"{prefix}part-"):
        bucket.download(key, folder / "part")
        frames.append(pyarrow.parquet.read_table(folder / "part").to_pandas())
    return pd.concat(frames, ignore_index=True)


def _predictions(settings: Settings) -> pd.DataFrame:
    engine = connect(settings.database)
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT * FROM predictions"))
        frame = pd.DataFrame(rows.fetchall(), columns=list(rows.keys()))
    engine.dispose()
    return frame.assign(prediction_id=frame["prediction_id"].astype(str))


def test_what_is_scored_in_the_store_is_what_the_service_answers(
    bank: Settings,
    rows: pd.DataFrame,
    models: dict[str, Path],
    make_application: Callable[..., Any],
    tmp_path: Path,
) -> None:
    result = score(bank, ScoreRequest("s3://deposit-data/customers/*/*.*", OUT))
    assert (result.rows, result.rejected, result.created, result.model_id) == (20_000, 0, True, "deposit-v1")
    results = _results(bank, OUT, tmp_path).set_index("id")
    assert results["rank"].is_monotonic_increasing
    assert (results["rank"] == results["probability"].rank(ascending=False, method="min")).all()

    folder = tmp_path / "served"
    folder.mkdir()
    for path in models["deposit-v1"].iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    release = {"model_id": "deposit-v1", "version": 1, "metrics": {}, "created": "", "dataset": "d"}
    (folder / "release.json").write_text(json.dumps(release))
    service = InProcess(make_application(bank, folder), bank)
    chosen = rows.iloc[::40]
    answer = service.ask("/predict", json={"customers": chosen.to_dict("records")}).json()
    served = {each["id"]: each["probability"] for each in answer["predictions"]}
    assert results.loc[list(served), "probability"].to_dict() == served


def test_a_run_that_was_killed_goes_on_and_logs_each_row_once(
    bank: Settings, models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged = bank.changed("score", log=True)
    monkeypatch.setattr(batch_scoring, "RUN_ROWS", scored.RUN_ROWS)
    command = [sys.executable, "-W", "ignore", scored.__file__, str(models["deposit-v1"])]
    environment = {"PATH": os.defpath, "PYTHONPATH": ":".join(sys.path), **variables(logged)}
    killed = subprocess.Popen([*command, "s3://deposit-data/customers/2026", OUT], env=environment)
    try:
        _wait_for_runs(logged, 2, killed)
    finally:
        killed.kill()
        killed.wait()
    bucket = ObjectStore(bank.store).data
    assert not bucket.exists(f"scores/today/{MANIFEST}")
    before = len(_predictions(bank))
    assert 0 < before < 20_000

    result = score(logged, ScoreRequest("s3://deposit-data/customers/2026", OUT))
    assert (result.rows, result.created, result.logged) == (20_000, True, True)
    results = _results(bank, OUT, tmp_path).set_index("prediction_id").sort_index()
    stored = _predictions(bank).set_index("prediction_id").sort_index()
    assert stored.index.is_unique
    assert list(stored.index) == list(results.index)
    assert list(stored["customer_id"]) == list(results["id"])
    assert list(stored["probability"]) == list(results["probability"])
    assert set(stored["client"]) == {"deposit score"}
    assert stored["event_time"].nunique() == stored["request_id"].nunique() == 1

    score(bank, ScoreRequest("s3://deposit-data/customers/2026", f"{OUT}-again"))
    again = _results(bank, f"{OUT}-again", tmp_path).drop(columns="prediction_id")
    first = _results(bank, OUT, tmp_path).drop(columns="prediction_id")
    pd.testing.assert_frame_equal(first, again)
    assert list((logged.state.scoring).iterdir())  # locks
    assert not [path for path in logged.state.scoring.iterdir() if path.is_dir()]


def _wait_for_runs(settings: Settings, count: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        journals = list(settings.state.scoring.glob("*/journal.jsonl"))
        if journals and journals[0].read_bytes().count(b'"type":"run"') >= count:
            return
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.01)
    pytest.fail("it scores nothing")


def test_the_same_again_publishes_nothing_and_another_run_only_with_leave(bank: Settings) -> None:
    request = ScoreRequest("s3://deposit-data/customers/2026/a.parquet", OUT)
    assert score(bank, request).created
    bucket = ObjectStore(bank.store).data
    written = bucket.objects("scores/")
    again = score(bank, request)
    assert (again.created, again.rows) == (False, 7000)
    assert bucket.objects("scores/") == written

    other = ScoreRequest("s3://deposit-data/customers/2026", OUT, model="deposit-v2")
    with pytest.raises(ConfigError, match=r"holds the results of another run.*--overwrite"):
        score(bank, other)
    result = score(bank, ScoreRequest("s3://deposit-data/customers/2026", OUT, model="deposit-v2", overwrite=True))
    assert (result.created, result.rows, result.model_id) == (True, 20_000, "deposit-v2")


def test_an_unfinished_run_goes_on_only_with_what_it_was_given(bank: Settings) -> None:
    request = ScoreRequest("s3://deposit-data/customers/2026/*.parquet", OUT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batch_scoring.BatchScoring, "_rank", lambda _: (_ for _ in ()).throw(UpstreamError("killed")))
        with pytest.raises(UpstreamError, match="killed"):
            score(bank, request)
    bucket = ObjectStore(bank.store).data
    bucket.put("customers/2026/a.parquet", bucket.get("customers/2026/b.parquet"))
    with pytest.raises(ConfigError, match=r"was not finished, and the input files changed since.*--restart"):
        score(bank, request)
    assert score(bank, ScoreRequest(request.source, OUT, restart=True)).rows == 14_000


def test_a_refused_file_costs_only_what_came_from_it_on(
    bank: Settings, rows: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_scoring, "RUN_ROWS", scored.RUN_ROWS)
    starts: list[tuple[int, int]] = []

    def read_inputs(inputs: Any, first: int, skip: int, *others: Any) -> Any:
        starts.append((first, skip))
        return reading.read_inputs(inputs, first, skip, *others)

    monkeypatch.setattr(batch_scoring, "read_inputs", read_inputs)
    bucket = ObjectStore(bank.store).data
    request = ScoreRequest("s3://deposit-data/customers/2026", OUT)
    bucket.put("customers/2026/d.csv", rows.drop(columns="job").head(3).to_csv(index=False).encode())
    with pytest.raises(ContractError, match=r"2026/d\.csv: missing column job"):
        score(bank, request)
    bucket.put("customers/2026/d.csv", rows.head(3).to_csv(index=False).encode())
    assert score(bank, request).rows == 20_003
    assert starts[0] == (0, 0) < starts[1]
    went_on = _results(bank, OUT, tmp_path)
    assert score(bank, ScoreRequest(request.source, OUT, overwrite=True, restart=True)).rows == 20_003
    pd.testing.assert_frame_equal(went_on, _results(bank, OUT, tmp_path))


def test_after_a_refusal_other_files_are_another_run(bank: Settings, rows: pd.DataFrame) -> None:
    bucket = ObjectStore(bank.store).data
    bucket.put("other/a.csv", rows.assign(contact="fax").head(3).to_csv(index=False).encode())
    with pytest.raises(ContractError, match="no row is valid") as refused:
        score(bank, ScoreRequest("s3://deposit-data/other", OUT))
    assert "contact must be one of cellular, telephone; got 'fax'" in refused.value.whole
    assert refused.value.kept == f"{OUT}/_quarantine/"
    bucket.put("other/a.csv", rows.head(3).to_csv(index=False).encode())
    assert score(bank, ScoreRequest("s3://deposit-data/other", OUT)).rows == 3


def test_logged_rows_count_as_made_when_the_period_begins(bank: Settings) -> None:
    source = "s3://deposit-data/customers/2026/c.csv"
    score(bank.changed("score", log=True), ScoreRequest(source, OUT, period="2010-05"))
    times = _predictions(bank)["event_time"]
    assert len(times) == 6000
    assert {time.isoformat() for time in times} == {"2010-05-01T00:00:00+00:00"}
    with pytest.raises(ConfigError, match="2999-01 is in the future"):
        score(bank, ScoreRequest(source, OUT, period="2999-01"))


def test_results_go_nowhere_else_than_into_a_folder_of_their_own(bank: Settings) -> None:
    ObjectStore(bank.store).data.put("other/notes.txt", b"keep")
    with pytest.raises(ConfigError, match=r"holds other files, such as notes\.txt"):
        score(bank, ScoreRequest("s3://deposit-data/customers/2026/a.parquet", "s3://deposit-data/other"))
    with pytest.raises(ConfigError, match=r"the input .*a\.parquet is in the output folder"):
        score(bank, ScoreRequest("s3://deposit-data/customers", "s3://deposit-data/customers/2026"))
    with pytest.raises(ConfigError, match=r"is in the input folder"):
        score(bank, ScoreRequest("s3://deposit-data/customers", "s3://deposit-data/customers/scores"))
    with pytest.raises(SourceError, match="there is no file with rows"):
        score(bank, ScoreRequest("s3://deposit-data/nobody", OUT))


def test_what_cannot_be_written_is_known_before_rows_are_read(bank: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    source = "s3://deposit-data/customers/2026"
    with pytest.raises(ConfigError, match=r"cannot write .*/file/out/_unfinished \(Not a directory\)"):
        score(bank, ScoreRequest(source, str(tmp_path / "file" / "out")))
    elsewhere = bank.changed("score", work_dir=tmp_path / "file" / "work")
    with pytest.raises(ConfigError, match=r"cannot write to .*/file/work .*DEPOSIT_SCORE__WORK_DIR"):
        score(elsewhere, ScoreRequest(source, OUT))


def test_the_command_says_what_it_did_and_where(
    bank: Settings, rows: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables(bank).items():
        monkeypatch.setenv(name, value)
    changed = rows.iloc[:300].assign(contact=["fax"] + ["Cellular"] * 299, note="Łódź")
    changed.to_csv(tmp_path / "list.csv", index=False, encoding="windows-1250")
    command = ["score", str(tmp_path / "list.csv"), str(tmp_path / "out"), "--model", "deposit-v2"]
    unknown = CliRunner().invoke(app, [*command, "--charset", "klingon"])
    assert "the charset 'klingon' is unknown" in str(unknown.exception)
    command += ["--charset", "windows-1250"]
    printed = CliRunner().invoke(app, [*command, "--json"])
    assert printed.exit_code == 0, printed.output
    result = json.loads(printed.stdout)
    assert (result["rows"], result["rejected"], result["model_id"], result["created"]) == (299, 1, "deposit-v2", True)
    assert pyarrow.parquet.read_table(tmp_path / "out" / "part-00000.parquet").num_rows == 299
    manifest = json.loads((tmp_path / "out" / MANIFEST).read_text())
    assert manifest["rows"] == 299
    assert result["expected_subscriptions"] == pytest.approx(manifest["expected_subscriptions"])
    assert result["readings"] == [{"column": "contact", "text": "Cellular", "value": "cellular", "cells": 299}]
    again = CliRunner().invoke(app, command)
    assert "read by their spelling: contact 'Cellular' as cellular (299)" in " ".join(again.output.split())
    assert "there already: 299 rows by deposit-v2, 1 rejected" in " ".join(again.output.split())


def test_a_second_run_to_the_same_folder_says_for_whom_it_waits(bank: Settings) -> None:
    first, told = threading.Event(), threading.Event()
    lines: list[str] = []

    def hold(message: str, done: int = 0, total: int = 0) -> None:
        first.set()
        assert told.wait(300)

    def note(message: str, done: int = 0, total: int = 0) -> None:
        lines.append(message)
        told.set()

    request = ScoreRequest("s3://deposit-data/customers/2026", OUT)
    with ThreadPoolExecutor(2) as pool:
        running = pool.submit(score, bank, request, hold)
        assert first.wait(300)
        waiting = pool.submit(score, bank, request, note)
        assert running.result(300).created
        assert not waiting.result(300).created
    holder = rf"process {os.getpid()} on \S+, since 2\d{{3}}-\d\d-\d\d \d\d:\d\d:\d\d UTC"
    (line,) = lines
    assert re.fullmatch(rf"waiting until another run to {OUT}/ has ended: {holder}", line)
