"""Replay production: score each month through HTTP, tell its outcomes late, monitor it, learn from it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import pandas as pd
from sqlalchemy import Engine, text

from deposit.data import dataset as datasets
from deposit.data.columns import TARGET
from deposit.data.ingest import ingest
from deposit.database import connect, reachable
from deposit.errors import ConfigError
from deposit.monitoring.kind import Kind
from deposit.monitoring.monitor import monitor
from deposit.monitoring.span import Span, span_of
from deposit.progress import Progress, log_progress
from deposit.replay import ledger
from deposit.replay.chart import page
from deposit.replay.customers import Service, customer_id, past, service
from deposit.replay.ledger import Ledger, ReplayedMonth
from deposit.replay.loop import begin, learn, resume
from deposit.replay.traffic import Traffic, borrowed_traffic
from deposit.settings import Settings
from deposit.store import ObjectStore

NAME = "replay"
"""Of the registered model and the experiment: production's own are not touched."""
BROKEN = Kind.DATA_FAULT.title
_TRAINING = {"trials": 3, "bootstrap": 200, "test_share": 0.03, "validation_share": 0.05}
"""Few trials for speed; short windows, since each month a model learns that is tested on no more than the newest."""


@dataclass(frozen=True)
class Replay:
    """All months, and where the chart is."""

    months: tuple[ReplayedMonth, ...]
    chart: str


def replay(settings: Settings, first: str, last: str, progress: Progress = log_progress) -> Replay:
    """Replay the months from `first` to `last`; what a killed replay finished is not done again.

    One that fails puts back to traffic what was live before it; for one that is killed the releaser does. Raises
    ConfigError (the months, the API's key), DataError (too short a history), ReleaseError (another replay runs) or
    UpstreamError.
    """
    settings = settings.changed("mlflow", model_name=NAME, experiment=NAME)
    settings = settings.changed("train", **_TRAINING)
    version = ingest(settings, progress).version
    rows = datasets.load(ObjectStore(settings.store), settings.store.data_bucket, version)
    periods = _periods(rows, first, last)
    book = Ledger(settings, f"{version}/{first}_{last}")
    engine = connect(settings.database)
    months: list[ReplayedMonth] = []
    try:
        with service(settings) as api, borrowed_traffic(settings, progress) as traffic:
            if book.read(periods[0]) is None:
                begin(settings, rows[rows["period"] < first], traffic, progress)
            elif book.read(periods[-1]) is None:
                resume(settings, traffic)
            for done, period in enumerate(periods):
                progress(f"replaying {period}", done, len(periods))
                known = rows[rows["period"] <= period]
                month = book.read(period) or _month(settings, engine, api, traffic, known, span_of(period), progress)
                book.write(month)
                months.append(month)
    finally:
        engine.dispose()
    return Replay(tuple(months), book.publish(page(f"Replay of {first} to {last}", months)))


def _month(
    settings: Settings,
    engine: Engine,
    api: Service,
    traffic: Traffic,
    rows: pd.DataFrame,
    span: Span,
    progress: Progress,
) -> ReplayedMonth:
    """Everything that happens in the last month of `rows` and because of it; each step leaves out what is done."""
    month = rows[rows["period"] == span.name]
    ids = month["id"].map(customer_id)
    prefix = f"{NAME}-v"
    asked, told = (partial(look, engine, span, prefix) for look in (ledger.predicted, ledger.stated))
    before = ledger.settled(asked)
    # another model's predictions must not become past ones of production
    traffic.check()
    api.predict(month[~ids.isin(before)], span)
    predictions = ledger.wait_for(asked, len(month), "predictions")
    labels = dict(zip(ids, month[TARGET] == 1, strict=True))
    known = ledger.settled(told)
    api.state({key: bool(labels[name]) for name, key in predictions.items() if name not in known}, span)
    ledger.wait_for(told, len(month), "outcomes")
    judged = monitor(settings, span.name, progress).models
    newest = max(judged, key=lambda model: model.rows)
    action = "not learnt from" if newest.verdict == BROKEN else learn(settings, rows, traffic, progress)
    found = _figures(engine, span.name, newest.model_id)
    return ReplayedMonth(
        period=span.name,
        model_id=newest.model_id,
        rows=len(month),
        rate=float((month[TARGET] == 1).mean()),
        roc_auc=found.get("roc_auc"),
        lift_10=found.get("lift_10"),
        profit=found.get("profit"),
        profit_call_everyone=found.get("profit_call_everyone"),
        verdict=newest.verdict,
        why=newest.sentence,
        action=action,
    )


def _periods(rows: pd.DataFrame, first: str, last: str) -> Sequence[str]:
    there = sorted(set(rows["period"]))
    chosen = [period for period in there if first <= period <= last]
    if not chosen or first <= there[0]:
        raise ConfigError(
            f"nothing to replay from {first} to {last}: the source has {there[0]} to {there[-1]}, and something must "
            "come before the first month to train on"
        )
    late = [period for period in chosen if not past(span_of(period), datetime.now(UTC))]
    if late:
        raise ConfigError(f"{late[0]} is not over, or its outcomes are not: replay what is past")
    return chosen


def _figures(engine: Engine, period: str, model_id: str) -> dict[str, float]:
    statement = text("SELECT name, value FROM metrics WHERE period = :period AND scope = :model AND \"column\" = ''")
    with reachable(engine), engine.connect() as connection:
        return dict(connection.execute(statement, {"period": period, "model": model_id}).tuples().all())
