"""What a replay learns from: the rows up to a month as a dataset version, and trainings on it."""

from concurrent.futures import CancelledError, Executor, Future
from dataclasses import dataclass
from threading import Event

import pandas as pd
from sqlalchemy import Engine

from deposit.data import dataset as datasets
from deposit.data.dataset import Manifest, Origin
from deposit.data.ingest import add_dataset
from deposit.loop import train
from deposit.progress import Progress
from deposit.settings import Settings
from deposit.store import Bucket
from deposit.training.training import TrainingResult


@dataclass(frozen=True, eq=False)
class History:
    """The rows of a dataset version, oldest first, and where versions of the older ones among them are published."""

    whole: Manifest
    rows: pd.DataFrame
    bucket: Bucket
    engine: Engine

    def publish(self, known: pd.Series) -> str:
        """The version of those rows that are known; the same rows give the same one. All were checked at ingest."""
        rows = self.rows[known]
        origin = Origin(f"{self.whole.version} up to {rows['period'].max()}", self.whole.source_sha256, 0)
        manifest, _ = datasets.publish(self.bucket, rows, origin)
        add_dataset(self.engine, self.bucket, manifest)
        return manifest.version


class Trainings:
    """Trainings on all rows up to a month, one after the other, beside what a replay does meanwhile.

    A training depends on the rows and on the verdicts of the months before its own, which are there when the month
    before has been learned from: it is begun then, while that month's model is judged and goes live.
    """

    def __init__(self, settings: Settings, history: History, worker: Executor, progress: Progress) -> None:
        self._settings, self._history, self._worker, self._progress = settings, history, worker, progress
        self._begun: dict[str, Future[tuple[str, TrainingResult]]] = {}
        self._stopped = Event()

    def begin(self, period: str) -> None:
        """Publish the rows up to a month and train on them, once."""
        if period not in self._begun:
            self._begun[period] = self._worker.submit(self._train, period)

    def take(self, period: str) -> tuple[str, TrainingResult]:
        """The dataset version of the rows up to a month, and its training. Raises as `publish` and `train` do."""
        self.begin(period)
        return self._begun.pop(period).result()

    def stop(self) -> None:
        """Have the training that is under way, and all that were begun, end at their next step."""
        self._stopped.set()

    def _train(self, period: str) -> tuple[str, TrainingResult]:
        self._report(f"publishing the rows up to {period}")
        dataset = self._history.publish(self._history.rows["period"] <= period)
        return dataset, train(self._settings, dataset, progress=self._report)

    def _report(self, message: str, done: int = 0, total: int = 0) -> None:
        if self._stopped.is_set():
            raise CancelledError(f"stopped before {message}")
        self._progress(message, done, total)
