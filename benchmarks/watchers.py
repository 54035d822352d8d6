"""Two ways to monitor a month of predictions, each in its own process: `python -m benchmarks.watchers NAME FOLDER`."""

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import Engine

from benchmarks.processes import peak
from deposit.database import connect
from deposit.sections import DatabaseSettings

URL = "BENCH_URL"
"""Environment variable with the database URL, which contains a password."""
PERIOD, MODEL_ID, THRESHOLD = "2010-05", "deposit-v1", 0.3
REFERENCE, TRAINING = "reference.json", "training.parquet"
"""Files in the folder of the watchers: the product's reference profile, and the training rows that it summarises."""
EXPECTED = {"roc_auc": 0.75, "roc_auc_low": 0.74, "roc_auc_high": 0.76, "ece": 0.02, "ece_low": 0.01, "ece_high": 0.03}


def counted(engine: Engine, folder: Path) -> Callable[[], Any]:
    """Prepare what `deposit monitor` does for one model's month, from the first query to the stored metrics."""
    # imports everything that the command imports, so that the memory is comparable
    from deposit.data.period import parse_period
    from deposit.model.evaluation import Economics
    from deposit.model.reference import ReferenceProfile
    from deposit.monitoring import metric_rows, monitor, profile  # noqa: F401
    from deposit.monitoring.assessment import assess

    span = parse_period(PERIOD)

    def run() -> str:
        reference = ReferenceProfile.from_json(json.loads((folder / REFERENCE).read_text()))
        with engine.begin() as connection:
            observed = profile.profile_period(connection, span, MODEL_ID, reference)
            assessment = assess(observed, reference, THRESHOLD, EXPECTED, Economics(10, 1))
            kept = list(metric_rows.to_metric_rows(MODEL_ID, observed, reference, assessment))
            metric_rows.replace(connection, span.name, "deposit", kept)
        return assessment.status.title

    return run


def evidently(engine: Engine, folder: Path) -> Callable[[], Any]:
    """Prepare Evidently's presets with their defaults on the raw frame, as in its quickstart."""
    import pandas as pd
    from evidently import BinaryClassification, DataDefinition, Dataset, Report
    from evidently.presets import ClassificationPreset, DataDriftPreset, DataSummaryPreset

    from deposit.data.columns import CATEGORIES, FEATURES, NUMBERS

    definition = DataDefinition(
        numerical_columns=[*NUMBERS, "probability"], categorical_columns=list(CATEGORIES),
        classification=[
            BinaryClassification(target="y", prediction_labels="called", prediction_probas="probability", pos_label=1)
        ],
    )  # fmt: skip
    listed = ", ".join(f'"{column.sql_name}" AS "{column.name}"' for column in FEATURES)
    # safe: all names are constants
    query = (
        f"SELECT {listed}, probability, predictions.subscribes::int AS called, outcomes.subscribed::int AS y"  # noqa: S608
        " FROM predictions JOIN outcomes USING (prediction_id)"
    )

    def run() -> int:
        current, reference = pd.read_sql(query, engine), pd.read_parquet(folder / TRAINING)
        snapshot = Report([DataDriftPreset(), DataSummaryPreset(), ClassificationPreset()]).run(
            Dataset.from_pandas(current, definition), Dataset.from_pandas(reference, definition)
        )
        return len(snapshot.dict()["metrics"])

    return run


WATCHERS: Mapping[str, Callable[[Engine, Path], Callable[[], Any]]] = {"counted": counted, "evidently": evidently}


def main() -> None:
    """Run a watcher once and print seconds, peak memory in MiB and the result as JSON."""
    name, folder = sys.argv[1:]
    engine = connect(DatabaseSettings(url=os.environ[URL]))
    watch = WATCHERS[name](engine, Path(folder))
    begun = time.perf_counter()
    result = watch()
    seconds = time.perf_counter() - begun
    print(json.dumps({"seconds": seconds, "peak": peak(psutil.Process()), "found": result}))  # noqa: T201 - read by the parent process


if __name__ == "__main__":
    main()
