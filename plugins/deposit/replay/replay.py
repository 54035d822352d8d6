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
from deposit.data.periods import month_after
from deposit.database import connect, reachable
from deposit.errors import ConfigError
from deposit.loop import challenge, replace_expired, train
from deposit.monitoring.monitor import monitor
from deposit.monitoring.status import PeriodStatus, metrics_of
from deposit.progress import Progress, log_progress
from deposit.registry.registry import ModelRegistry
from deposit.replay import state
from deposit.replay.chart import page
from deposit.replay.client import Service, customer_id, past, service
from deposit.replay.loan import TrafficLease, borrowed_traffic
from deposit.replay.state import ReplayedMonth, ReplayState
from deposit.selection.selection import Selection
from deposit.settings import Settings
from deposit.store import ObjectStore

NAME, NAME_WITHOUT_TRAINING = "replay", "replay-untrained"
"""Of the registered model and the experiment: production's own are not touched, nor one kind of replay by the other."""
_TRAINING = {"trials": 3, "bootstrap": 200}
"""Few trials and resamples for speed: the searched member is one of many, and each month trains."""


def run_training_cycle(settings: Settings, dataset: str, traffic: TrafficLease, progress: Progress) -> Selection:
    """Train on a dataset version, let the gate decide, and release what has become champion.

    Raises DataError, ReleaseError (the champion could not be released) or UpstreamError.
    """
    training = train(settings, dataset, progress)
    selection = challenge(settings, training.run_id, progress)
    if selection.is_champion:
        traffic.put(selection.model_id)
    return selection


def _ingested(settings: Settings, rows: pd.DataFrame, progress: Progress) -> str:
    """The dataset version of some rows; the same rows give the same one."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "history.csv"
        known = rows[["id", "period", *NAMES]].assign(**{TARGET: rows[TARGET].map({0: "no", 1: "yes"})})
        known.to_csv(path, sep=";", index=False)
        return ingest(settings.changed("ingest", source="file", path=path), progress).version


def bootstrap_champion(settings: Settings, rows: pd.DataFrame, traffic: TrafficLease, progress: Progress) -> None:
    """See that a champion serves, before the first month: that of these rows, without the gate where it lets none in.

    The early months of this data teach no model to beat a constant, and a month can be scored by some model only. The
    champion of another replay may have learned from months that are to come.
    """
    newest = run_training_cycle(settings, _ingested(settings, rows, progress), traffic, progress).model_id
    registry = ModelRegistry(settings)
    champion = registry.champion()
    if champion is None or registry.load(champion).metadata.train_end > rows["period"].max():
        reason = "no model has earned it yet" if champion is None else f"{champion.model_id} has seen what is to come"
        progress(f"{reason}, so {newest} is promoted without the gate")
        before, champion = champion, registry.by_id(newest)
        registry.set_champion(champion, before)
    traffic.put(champion.model_id)


def resume(settings: Settings, traffic: TrafficLease) -> None:
    """See that the champion serves again: what was live before is, if the replay failed or was killed midway."""
    champion = ModelRegistry(settings).champion()
    if champion is not None:
        traffic.put(champion.model_id)


@dataclass(frozen=True)
class Stage:
    """What a replay acts on; `training` says whether new labels train anything but a rate table."""

    settings: Settings
    engine: Engine
    api: Service
    traffic: TrafficLease
    training: bool
    progress: Progress


@dataclass(frozen=True)
class Replay:
    """All months, and where the chart is."""

    months: tuple[ReplayedMonth, ...]
    chart: str


def replay(
    settings: Settings, first: str, last: str, training: bool = True, progress: Progress = log_progress
) -> Replay:
    """Replay the months from `first` to `last`; what a killed replay finished is not done again.

    Without training the first champion serves until it has expired. A replay that fails puts back to traffic what was
    live before it; for one that is killed the releaser does. Raises ConfigError (the months, the API's key), DataError
    (too short a history), ReleaseError (another replay runs) or UpstreamError.
    """
    name = NAME if training else NAME_WITHOUT_TRAINING
    settings = settings.changed("mlflow", model_name=name, experiment=name)
    settings = settings.changed("train", **_TRAINING)
    version = ingest(settings, progress).version
    store = ObjectStore(settings.store)
    rows = datasets.load(store.data, version)
    periods = _periods(rows, first, last)
    book = ReplayState(store.reports, f"{version}/{first}_{last}{'' if training else '_untrained'}")
    engine = connect(settings.database)
    months: list[ReplayedMonth] = []
    try:
        with service(settings) as api, borrowed_traffic(settings, progress) as traffic:
            stage = Stage(settings, engine, api, traffic, training, progress)
            if book.read(periods[0]) is None:
                bootstrap_champion(settings, rows[rows["period"] < first], traffic, progress)
            elif book.read(periods[-1]) is None:
                resume(settings, traffic)
            for done, period in enumerate(periods):
                progress(f"replaying {period}", done, len(periods))
                following = periods[done + 1] if done + 1 < len(periods) else month_after(period, 1)
                known = rows[rows["period"] <= period]
                month = book.read(period) or _month(stage, known, parse_period(period), following)
                book.write(month)
                months.append(month)
    finally:
        engine.dispose()
    return Replay(tuple(months), book.publish(page(f"Replay of {first} to {last}", months)))


def _month(stage: Stage, rows: pd.DataFrame, span: Period, following: str) -> ReplayedMonth:
    """Everything that happens in the last month of `rows` and because of it; each step leaves out what is done."""
    month, prefix = rows[rows["period"] == span.name], f"{stage.settings.mlflow.model_name}-v"
    ids = month["id"].map(customer_id)
    logged = partial(state.predictions_by_id, stage.engine, span, prefix)
    reported = partial(state.outcomes_by_id, stage.engine, span, prefix)
    before = state.wait_until_stable(logged)
    stage.traffic.check()  # another model's predictions must not become past ones of production
    stage.api.predict(month[~ids.isin(before)], span)
    predictions = state.wait_for(logged, len(month), "predictions")
    labels = dict(zip(ids, month[TARGET] == 1, strict=True))
    settled = state.wait_until_stable(reported)
    stage.api.state({key: bool(labels[name]) for name, key in predictions.items() if name not in settled}, span)
    state.wait_for(reported, len(month), "outcomes")
    newest = max(monitor(stage.settings, span.name, stage.progress).models, key=lambda model: model.rows)
    broken = newest.status is PeriodStatus.DATA_QUALITY_FAILURE
    action = _learn(stage, rows[rows["period"] < span.name] if broken else rows, broken, following)
    with reachable(stage.engine), stage.engine.connect() as connection:
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
        stale=metrics["age_months"] > metrics["stale_after_months"],
    )


def _learn(stage: Stage, rows: pd.DataFrame, broken: bool, following: str) -> str:
    """Train on what is known, if that is to be, and see that no expired model answers in the following month."""
    settings, action = stage.settings, "not learnt from" if broken else "not trained"
    dataset = _ingested(settings, rows, stage.progress)
    if stage.training and not broken:
        selection = run_training_cycle(settings, dataset, stage.traffic, stage.progress)
        action = f"{selection.model_id} {'released' if selection.is_champion else 'refused'}"
    fallback = replace_expired(settings, following, dataset, stage.progress)
    if fallback is None:
        return action
    stage.traffic.put(fallback.model_id)
    return f"{action}; {fallback.model_id}, the rate table, released"


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
