"""Training data of a replay, published as dataset versions up to a month, and the trainings on them."""

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
    """Rows of a dataset version, oldest first, and where to publish versions of its older rows."""

    whole: Manifest
    rows: pd.DataFrame
    bucket: Bucket
    engine: Engine

    def publish(self, known: pd.Series) -> str:
        """Publish the selected rows, which ingest has validated; returns their version, the same for the same rows."""
        rows = self.rows[known]
        origin = Origin(f"{self.whole.version} up to {rows['period'].max()}", self.whole.source_sha256, 0)
        manifest, _ = datasets.publish(self.bucket, rows, origin)
        add_dataset(self.engine, self.bucket, manifest)
        return manifest.version


class Trainings:
    """Trainings on all rows up to a month, run one at a time in the background.

    A training depends on the rows and on the verdicts of earlier months. These are complete as soon as the month before
    is trained on, so the next training starts while that month's model is compared and released.
    """

    def __init__(self, settings: Settings, history: History, worker: Executor, progress: Progress) -> None:
        self._settings, self._history, self._worker, self._progress = settings, history, worker, progress
        self._begun: dict[str, Future[tuple[str, TrainingResult]]] = {}
        self._stopped = Event()

    def begin(self, period: str) -> None:
        """Start publishing the rows up to a month and training on them, unless that was started before."""
        if period not in self._begun:
            self._begun[period] = self._worker.submit(self._train, period)

    def take(self, period: str) -> tuple[str, TrainingResult]:
        """The dataset version of the rows up to a month, and its training. Raises as `publish` and `train` do."""
        self.begin(period)
        return self._begun.pop(period).result()

    def stop(self) -> None:
        """Cancel the running training and those in the queue at their next step."""
        self._stopped.set()

    def _train(self, period: str) -> tuple[str, TrainingResult]:
        self._report(f"publishing the rows up to {period}")
        dataset = self._history.publish(self._history.rows["period"] <= period)
        return dataset, train(self._settings, dataset, progress=self._report)

    def _report(self, message: str, done: int = 0, total: int = 0) -> None:
        if self._stopped.is_set():
            raise CancelledError(f"stopped before {message}")
        self._progress(message, done, total)
