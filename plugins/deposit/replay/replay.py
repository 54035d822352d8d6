"""What a month of new labelled rows sets off: train, select, and release what has become champion."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
from sqlalchemy import Engine

from deposit.data import dataset as datasets
from deposit.data.columns import NAMES, TARGET
from deposit.data.ingest import ingest
from deposit.data.period import Period, parse_period
from deposit.database import connect, reachable
from deposit.errors import ConfigError
from deposit.loop import challenge, train
from deposit.monitoring.monitor import monitor
from deposit.monitoring.status import PeriodStatus, metrics_of
from deposit.progress import Progress, log_progress
from deposit.registry.registry import ModelRegistry
from deposit.replay import state
from deposit.replay.chart import page
from deposit.replay.client import Service, customer_id, past, service
from deposit.replay.loan import TrafficLease, borrowed_traffic
from deposit.replay.state import ReplayedMonth, ReplayState
from deposit.settings import Settings
from deposit.store import ObjectStore

NAME, _PREFIX = "replay", "replay-v"
"""Of the registered model and the experiment, and how the ids of its models begin: production's own are not touched."""
_TRAINING = {"trials": 3, "bootstrap": 200}
"""Few trials and resamples for speed: the searched member is one of many, and each month trains."""


def run_training_cycle(settings: Settings, rows: pd.DataFrame, traffic: TrafficLease, progress: Progress) -> str:
    """Ingest the rows known by now, train on them, and let the gate decide; what was done, in words.

    Raises DataError, ReleaseError (the champion could not be released) or UpstreamError.
    """
    with TemporaryDirectory() as folder:
        path = Path(folder) / "history.csv"
        known = rows[["id", "period", *NAMES]].assign(**{TARGET: rows[TARGET].map({0: "no", 1: "yes"})})
        known.to_csv(path, sep=";", index=False)
        version = ingest(settings.changed("ingest", source="file", path=path), progress).version
    training = train(settings, version, progress)
    selection = challenge(settings, training.run_id, progress)
    if not selection.is_champion:
        return f"{selection.model_id} refused"
    traffic.put(selection.model_id)
    return f"{selection.model_id} released"


def bootstrap_champion(settings: Settings, rows: pd.DataFrame, traffic: TrafficLease, progress: Progress) -> None:
    """See that a champion serves, before the first month: the newest, without the gate, if it lets none through.

    The early months of this data teach no model to beat a constant, and a month can be scored by some model only.
    """
    run_training_cycle(settings, rows, traffic, progress)
    registry = ModelRegistry(settings)
    champion = registry.champion()
    if champion is None:
        champion = registry.versions()[-1]
        progress(f"no model has earned it yet, so {champion.model_id} is promoted without the gate")
        registry.set_champion(champion, None)
    traffic.put(champion.model_id)


def resume(settings: Settings, traffic: TrafficLease) -> None:
    """See that the champion serves again: what was live before is, if the replay failed or was killed midway."""
    champion = ModelRegistry(settings).champion()
    if champion is not None:
        traffic.put(champion.model_id)


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
    rows = datasets.load(ObjectStore(settings.store).data, version)
    periods = _periods(rows, first, last)
    book = ReplayState(settings, f"{version}/{first}_{last}")
    engine = connect(settings.database)
    months: list[ReplayedMonth] = []
    try:
        with service(settings) as api, borrowed_traffic(settings, progress) as traffic:
            if book.read(periods[0]) is None:
                bootstrap_champion(settings, rows[rows["period"] < first], traffic, progress)
            elif book.read(periods[-1]) is None:
                resume(settings, traffic)
            for done, period in enumerate(periods):
                progress(f"replaying {period}", done, len(periods))
                known = rows[rows["period"] <= period]
                month = book.read(period) or _month(
                    settings, engine, api, traffic, known, parse_period(period), progress
                )
                book.write(month)
                months.append(month)
    finally:
        engine.dispose()
    return Replay(tuple(months), book.publish(page(f"Replay of {first} to {last}", months)))


def _month(
    settings: Settings,
    engine: Engine,
    api: Service,
    traffic: TrafficLease,
    rows: pd.DataFrame,
    span: Period,
    progress: Progress,
) -> ReplayedMonth:
    """Everything that happens in the last month of `rows` and because of it; each step leaves out what is done."""
    month = rows[rows["period"] == span.name]
    ids = month["id"].map(customer_id)
    logged = partial(state.predictions_by_id, engine, span, _PREFIX)
    reported = partial(state.outcomes_by_id, engine, span, _PREFIX)
    before = state.wait_until_stable(logged)
    traffic.check()  # another model's predictions must not become past ones of production
    api.predict(month[~ids.isin(before)], span)
    predictions = state.wait_for(logged, len(month), "predictions")
    labels = dict(zip(ids, month[TARGET] == 1, strict=True))
    settled = state.wait_until_stable(reported)
    api.state({key: bool(labels[name]) for name, key in predictions.items() if name not in settled}, span)
    state.wait_for(reported, len(month), "outcomes")
    newest = max(monitor(settings, span.name, progress).models, key=lambda model: model.rows)
    broken = newest.status is PeriodStatus.DATA_QUALITY_FAILURE
    action = "not learnt from" if broken else run_training_cycle(settings, rows, traffic, progress)
    with reachable(engine), engine.connect() as connection:
        metrics = metrics_of(connection, span.name, newest.model_id)
    return ReplayedMonth(
        period=span.name,
        model_id=newest.model_id,
        rows=len(month),
        rate=float((month[TARGET] == 1).mean()),
        roc_auc=metrics.get("roc_auc"),
        lift_10=metrics.get("lift_10"),
        profit=metrics.get("profit"),
        profit_call_everyone=metrics.get("profit_call_everyone"),
        verdict=newest.status.title,
        why=newest.reason,
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
    late = [period for period in chosen if not past(parse_period(period), datetime.now(UTC))]
    if late:
        raise ConfigError(f"{late[0]} is not over, or its outcomes are not: replay what is past")
    return chosen
