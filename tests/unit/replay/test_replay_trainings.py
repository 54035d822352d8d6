"""The trainings of a replay, one of which is under way while a month is judged."""

from concurrent.futures import CancelledError, ThreadPoolExecutor
from threading import Event, get_ident
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from deposit.errors import DataError
from deposit.progress import Progress
from deposit.replay import trainings as module
from deposit.replay.trainings import Trainings
from deposit.settings import Settings

ROWS = pd.DataFrame({"period": ["2010-04", "2010-05", "2010-05", "2010-06"]})


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Datasets that were trained on, in this order; each is the months of its rows."""
    seen: list[str] = []

    def train(_: Settings, dataset: str, progress: Progress) -> Any:
        seen.append(dataset)
        if dataset == "2010-04":
            raise DataError("too short a history")
        return SimpleNamespace(run_id=f"run of {dataset}", thread=get_ident())

    monkeypatch.setattr(module, "train", train)
    return seen


HISTORY: Any = SimpleNamespace(rows=ROWS, publish=lambda known: " ".join(ROWS["period"][known]))


def test_a_training_is_begun_once_beside_all_else_on_the_rows_up_to_its_month(trained: list[str]) -> None:
    with ThreadPoolExecutor(1) as worker:
        trainings = Trainings(Settings(), HISTORY, worker, lambda *_: None)
        trainings.begin("2010-05")
        trainings.begin("2010-05")
        training: Any
        dataset, training = trainings.take("2010-05")
        assert (dataset, training.run_id) == ("2010-04 2010-05 2010-05", f"run of {dataset}")
        assert training.thread != get_ident()
        assert trainings.take("2010-06")[0] == f"{dataset} 2010-06"  # of which nothing was begun
    assert trained == [dataset, f"{dataset} 2010-06"]


def test_a_training_that_fails_does_so_where_it_is_taken(trained: list[str]) -> None:
    with ThreadPoolExecutor(1) as worker:
        trainings = Trainings(Settings(), HISTORY, worker, lambda *_: None)
        trainings.begin("2010-04")
        over = Event()
        worker.submit(over.set)
        assert over.wait(60)
        with pytest.raises(DataError, match="too short a history"):
            trainings.take("2010-04")


def test_a_training_that_is_stopped_ends_at_its_next_step_and_those_behind_it_never_begin(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[str] = []
    begun, stopped = Event(), Event()

    def train(_: Settings, dataset: str, progress: Progress) -> Any:
        seen.append(dataset)
        begun.set()
        assert stopped.wait(60)
        progress("a step", 1, 2)
        seen.append("a step too many")

    monkeypatch.setattr(module, "train", train)
    with ThreadPoolExecutor(1) as worker:
        trainings = Trainings(Settings(), HISTORY, worker, lambda *_: None)
        trainings.begin("2010-04")
        trainings.begin("2010-05")
        assert begun.wait(60)
        trainings.stop()
        stopped.set()
        for period in ("2010-04", "2010-05"):
            with pytest.raises(CancelledError):
                trainings.take(period)
    assert seen == ["2010-04"]
