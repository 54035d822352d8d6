"""Replay months of labelled rows: predict, report outcomes, monitor, train, select, and release a new champion."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import pandas as pd

from deposit.data import dataset as datasets
from deposit.data.columns import TARGET
from deposit.data.ingest import ingest
from deposit.data.period import Period, parse_period
from deposit.data.periods import month_after
from deposit.database import connect, reachable
from deposit.errors import ConfigError
from deposit.loop import challenge, replace_expired
from deposit.monitoring.monitor import monitor
from deposit.monitoring.status import PeriodStatus, metrics_of
from deposit.progress import Progress, log_progress
from deposit.registry.registry import ModelRegistry
from deposit.replay import state
from deposit.replay.chart import page
from deposit.replay.client import Service, customer_id, past, service
from deposit.replay.loan import TrafficLease, borrowed_traffic
from deposit.replay.state import ReplayedMonth, ReplayState
from deposit.replay.trainings import History, Trainings
from deposit.selection.selection import Selection
from deposit.settings import Settings
from deposit.store import ObjectStore
from deposit.training.training import TrainingResult

NAME, NAME_WITHOUT_TRAINING = "replay", "replay-untrained"
"""Names of the registered model and the experiment: separate from production's, and one for each kind of replay."""
_TRAINING = {"trials": 3, "bootstrap": 200}
"""Few trials and resamples, for speed: the tuned member is one of many, and every month trains."""


def _select_and_release(
    settings: Settings, training: TrainingResult, traffic: TrafficLease, progress: Progress
) -> Selection:
    """Run the gate on a training's model, and release it if it becomes champion.

    Raises DataError, ReleaseError (the champion could not be released) or UpstreamError.
    """
    selection = challenge(settings, training.run_id, progress)
    if selection.is_champion:
        traffic.put(selection.model_id)
    return selection


def bootstrap_champion(stage: "Stage", known: str, first: str) -> None:
    """Make sure that a champion serves before the first month, trained on the rows up to the month `known`.

    It is promoted without the gate if there is no usable champion: models of the early months of this data do not beat
    a constant, but a month can only be scored by a deployed model. The champion of an earlier replay may have been
    trained on months that are yet to come.
    """
    settings, traffic, progress = stage.settings, stage.traffic, stage.progress
    _, trained = stage.trainings.take(known)
    if stage.training:
        stage.trainings.begin(first)
    newest = _select_and_release(settings, trained, traffic, progress).model_id
    registry = ModelRegistry(settings)
    champion = registry.champion()
    if champion is None or registry.load(champion).metadata.train_end > known:
        reason = "no model has passed the gate" if champion is None else f"{champion.model_id} has seen later months"
        progress(f"{reason}, so {newest} is promoted without the gate")
        before, champion = champion, registry.by_id(newest)
        registry.set_champion(champion, before)
    traffic.put(champion.model_id)


def resume(settings: Settings, traffic: TrafficLease) -> None:
    """Release the champion again, since a replay that failed or was killed has left the earlier model live."""
    champion = ModelRegistry(settings).champion()
    if champion is not None:
        traffic.put(champion.model_id)


@dataclass(frozen=True)
class Stage:
    """What a replay acts on; `training` says whether new labels train anything but a rate table."""

    settings: Settings
    history: History
    api: Service
    traffic: TrafficLease
    trainings: Trainings
    training: bool
    progress: Progress


@dataclass(frozen=True)
class Replay:
    """All months, and the URI of the chart."""

    months: tuple[ReplayedMonth, ...]
    chart: str


def replay(
    settings: Settings, first: str, last: str, training: bool = True, progress: Progress = log_progress
) -> Replay:
    """Replay the months from `first` to `last`; months that an interrupted replay finished are not repeated.

    Without training, the first champion serves until it expires. If the replay fails, the model that was live before it
    is restored; if it is killed, the releaser restores it. Raises ConfigError (the months, or the API key), DataError
    (too short a history), ReleaseError (another replay is running) or UpstreamError.
    """
    name = NAME if training else NAME_WITHOUT_TRAINING
    settings = settings.changed("mlflow", model_name=name, experiment=name)
    settings = settings.changed("train", **_TRAINING)
    version = ingest(settings, progress).version
    store = ObjectStore(settings.store)
    rows = datasets.load(store.data, version)
    periods = _periods(rows, first, last)
    finished = ReplayState(store.reports, f"{version}/{first}_{last}{'' if training else '_untrained'}")
    with ExitStack() as stack:
        # outermost, so that traffic is returned before waiting for a running training
        worker = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="training"))
        engine = connect(settings.database)
        stack.callback(engine.dispose)
        api = stack.enter_context(service(settings))
        traffic = stack.enter_context(borrowed_traffic(settings, progress))
        history = History(datasets.manifest(store.data, version), rows, store.data, engine)
        trainings = Trainings(settings, history, worker, progress)
        stack.callback(trainings.stop)
        months = _months(Stage(settings, history, api, traffic, trainings, training, progress), periods, finished)
    return Replay(months, finished.publish(page(f"Replay of {first} to {last}", months)))


def _months(stage: Stage, periods: Sequence[str], finished: ReplayState) -> tuple[ReplayedMonth, ...]:
    """Replay the months in order, except those that are finished."""
    rows = stage.history.rows
    if finished.read(periods[0]) is None:
        bootstrap_champion(stage, max(rows["period"][rows["period"] < periods[0]]), periods[0])
    elif finished.read(periods[-1]) is None:
        resume(stage.settings, stage.traffic)
    months: list[ReplayedMonth] = []
    for done, period in enumerate(periods):
        stage.progress(f"replaying {period}", done, len(periods))
        following = periods[done + 1] if done + 1 < len(periods) else None
        month = finished.read(period) or _month(stage, parse_period(period), following)
        finished.write(month)
        months.append(month)
    return tuple(months)


def _month(stage: Stage, span: Period, following: str | None) -> ReplayedMonth:
    """Replay a month up to the following one; every step skips what is already done."""
    rows, engine, prefix = stage.history.rows, stage.history.engine, f"{stage.settings.mlflow.model_name}-v"
    month = rows[rows["period"] == span.name]
    ids = month["id"].map(customer_id)
    logged = partial(state.predictions_by_id, engine, span, prefix)
    reported = partial(state.outcomes_by_id, engine, span, prefix)
    before = state.wait_until_stable(logged)
    stage.traffic.check()  # otherwise production's model would get predictions with past dates
    predictions = before | stage.api.predict(month[~ids.isin(before)], span)
    labels = dict(zip(ids, month[TARGET] == 1, strict=True))
    settled = state.wait_until_stable(reported)
    stage.api.report({key: bool(labels[name]) for name, key in predictions.items() if name not in settled}, span)
    state.wait_for(reported, len(month))
    newest = max(monitor(stage.settings, span.name, stage.progress).models, key=lambda model: model.rows)
    broken = newest.status is PeriodStatus.DATA_QUALITY_FAILURE
    action = _train_and_release(stage, span.name, broken, following)
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
        stale=metrics["age_months"] > metrics["stale_after_months"],
    )


def _train_and_release(stage: Stage, period: str, broken: bool, following: str | None) -> str:
    """Train on a month and run the gate, if allowed; replace a champion that expires before the following month."""
    settings, action = stage.settings, "excluded from training" if broken else "not trained"
    if stage.training and not broken:
        dataset, training = stage.trainings.take(period)
        if following:
            stage.trainings.begin(following)
        selection = _select_and_release(settings, training, stage.traffic, stage.progress)
        action = f"{selection.model_id} {'released' if selection.is_champion else 'refused'}"
    else:
        months = stage.history.rows["period"]
        dataset = stage.history.publish(months < period if broken else months <= period)
    fallback = replace_expired(settings, following or month_after(period, 1), dataset, stage.progress)
    if fallback is None:
        return action
    stage.traffic.put(fallback.model_id)
    return f"{action}; {fallback.model_id}, the rate table, released"


def _periods(rows: pd.DataFrame, first: str, last: str) -> Sequence[str]:
    there = sorted(set(rows["period"]))
    chosen = [period for period in there if first <= period <= last]
    if not chosen or first <= there[0]:
        raise ConfigError(
            f"nothing to replay from {first} to {last}: the source has {there[0]} to {there[-1]}, and training needs "
            "at least one month before the first"
        )
    late = [period for period in chosen if not past(parse_period(period), datetime.now(UTC))]
    if late:
        raise ConfigError(f"{late[0]} is not over, or its outcomes are not reported yet: replay earlier months")
    return chosen
