"""The shared window of a challenger and its rival: both models, the newest rows that neither has seen."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from deposit.data import dataset as datasets
from deposit.errors import IntegrityError
from deposit.model import registry
from deposit.model.artifact import ModelArtifact
from deposit.model.candidates import predict
from deposit.model.gate import Contest, Verdict, by_log_loss, judge
from deposit.model.registry import Version
from deposit.settings import Settings
from deposit.store import ObjectStore


@dataclass(frozen=True)
class Overtaken:
    """The rival was trained through the last month that the challenger's dataset has, or a later one (YYYY-MM)."""

    rival_through: str
    dataset_end: str


@dataclass(frozen=True)
class Outcome:
    """The verdict on a contest; `rival` and `where` say in words against whom and on which rows.

    `overtaken` if no later data of the challenger can ever be new to the rival, as when the rival's months are wrong.
    """

    verdict: Verdict
    rival: str
    where: str
    overtaken: Overtaken | None = None


def hold(settings: Settings, challenger: Version, champion: Version | None) -> Outcome:
    """Let both models score the months that neither was trained on; without a champion the rival is a constant.

    A window without rows, or with one outcome only, gives a verdict that is not passed. Raises IntegrityError.
    """
    model = registry.load(settings, challenger)
    rival = _rival(settings, champion, challenger) if champion else None
    left_out = model.metadata.get("left_out", ())
    frame = datasets.load(ObjectStore(settings.store), settings.store.data_bucket, model.metadata["dataset"], left_out)
    seen = max(side.metadata["trained_through"] for side in (model, rival) if side is not None)
    rows = frame[(frame["period"] > seen) & (frame["period"] >= model.metadata["tested_from"])]
    rate = float(model.metadata["development_rate"])
    name = champion.model_id if champion else f"a constant (the development rate, {rate:.1%})"
    if rows["y"].nunique() < 2:
        found = "no call" if rows.empty else f"one outcome only in {len(rows)} calls"
        return Outcome(Verdict((), f"there is {found} to compare on"), name, f"after {seen}", _overtaken(rival, frame))
    where = f"{len(rows):,} calls of {rows['period'].iloc[0]} to {rows['period'].iloc[-1]}"
    return Outcome(_verdict(settings, _contest(model, rival, rows, rate), champion is None), name, where)


def _rival(settings: Settings, champion: Version, challenger: Version) -> ModelArtifact:
    try:
        return registry.load(settings, champion)
    except IntegrityError as error:
        raise IntegrityError(
            f"{error}; or `deposit promote {challenger.model_id}` puts the challenger in its place"
        ) from error


def _overtaken(rival: ModelArtifact | None, frame: pd.DataFrame) -> Overtaken | None:
    end = frame["period"].max()
    if rival is None or rival.metadata["trained_through"] < end:
        return None
    return Overtaken(rival.metadata["trained_through"], end)


def _verdict(settings: Settings, contest: Contest, first: bool) -> Verdict:
    resamples, seed = settings.train.bootstrap, settings.train.seed
    if first:  # whatever the rule: a constant has no F1 to beat
        return by_log_loss(contest, settings.select, resamples, seed)
    return judge(contest, settings.select, resamples, seed)


def _contest(model: ModelArtifact, rival: ModelArtifact | None, rows: pd.DataFrame, rate: float) -> Contest:
    ours = predict(model, rows)
    theirs = predict(rival, rows).probabilities if rival else np.full(len(rows), rate)
    threshold = rival.threshold if rival else 0.5
    return Contest(ours.periods, ours.labels, ours.probabilities, theirs, model.threshold, threshold)
