"""Two ways to look at a month of predictions, each as a process of its own: `python -m benchmarks.watchers counted`."""

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
"""Environment variable with the database's address, which has a password."""
PERIOD, MODEL_ID, THRESHOLD = "2010-05", "deposit-v1", 0.3
REFERENCE, TRAINING = "reference.json", "training.parquet"
"""Files in the folder that a watcher is given: the product's reference, and the rows that it counts."""
EXPECTED = {"roc_auc": 0.75, "roc_auc_low": 0.74, "roc_auc_high": 0.76, "ece": 0.02, "ece_low": 0.01, "ece_high": 0.03}


def counted(engine: Engine, folder: Path) -> Callable[[], Any]:
    """What `deposit monitor` does with one model's month, from the first query to the stored figures."""
    # with everything that the command imports, so that its memory is the command's
    from deposit.data.period import parse_period
    from deposit.model.evaluation import Economics
    from deposit.model.reference import ReferenceProfile
    from deposit.monitoring import metric_rows, monitor, profile  # noqa: F401
    from deposit.monitoring.assessment import assess

    span = parse_period(PERIOD)

    def look() -> str:
        reference = ReferenceProfile.from_json(json.loads((folder / REFERENCE).read_text()))
        with engine.begin() as connection:
            observed = profile.profile_period(connection, span, MODEL_ID, reference)
            assessment = assess(observed, reference, THRESHOLD, EXPECTED, Economics(10, 1))
            kept = list(metric_rows.to_metric_rows(MODEL_ID, observed, reference, assessment))
            metric_rows.replace(connection, span.name, "deposit", kept)
        return assessment.status.title

    return look


def evidently(engine: Engine, folder: Path) -> Callable[[], Any]:
    """Evidently's presets with their defaults on the raw frame, as its quickstart has it."""
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
    # every name is the program's own
    query = (
        f"SELECT {listed}, probability, predictions.subscribes::int AS called, outcomes.subscribed::int AS y"  # noqa: S608
        " FROM predictions JOIN outcomes USING (prediction_id)"
    )

    def look() -> int:
        current, reference = pd.read_sql(query, engine), pd.read_parquet(folder / TRAINING)
        snapshot = Report([DataDriftPreset(), DataSummaryPreset(), ClassificationPreset()]).run(
            Dataset.from_pandas(current, definition), Dataset.from_pandas(reference, definition)
        )
        return len(snapshot.dict()["metrics"])

    return look


WATCHERS: Mapping[str, Callable[[Engine, Path], Callable[[], Any]]] = {"counted": counted, "evidently": evidently}


def main() -> None:
    """Look once; seconds, peak memory in MiB and what was found, as JSON."""
    name, folder = sys.argv[1:]
    engine = connect(DatabaseSettings(url=os.environ[URL]))
    look = WATCHERS[name](engine, Path(folder))
    begun = time.perf_counter()
    result = look()
    seconds = time.perf_counter() - begun
    print(json.dumps({"seconds": seconds, "peak": peak(psutil.Process()), "found": result}))  # noqa: T201 - who started it reads this


if __name__ == "__main__":
    main()
