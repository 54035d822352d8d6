"""Out-of-time predictions of registered models: for months that they had not seen."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from deposit.model.artifact import ForwardMonth, ModelArtifact, load_forward
from deposit.model.evaluation import predict
from deposit.model.mixture import Values
from deposit.registry.registry import ModelRegistry
from deposit.registry.versions import Version
from deposit.selection.decision import ChallengeKind
from deposit.selection.gate import ChallengeHistory
from deposit.training.forward_cache import month_digests


@dataclass(frozen=True, eq=False)
class OpenedModel:
    """A model and its rolling-origin months by the digest of their rows; models of one recipe have no such months."""

    artifact: ModelArtifact
    months: dict[str, ForwardMonth]

    @property
    def table(self) -> object:
        """Key of the model's recipe table; None for a model of one recipe."""
        return self.artifact.metadata.recipe.get("table")


def open_model(models: ModelRegistry, version: Version) -> OpenedModel:
    """Download and verify a version. Raises IntegrityError."""
    with TemporaryDirectory() as folder:
        files = models.download(version, Path(folder))
        return OpenedModel(ModelArtifact.load(files), {month.digest: month for month in load_forward(files)})


def challenge_history(challenger: OpenedModel, champion: OpenedModel | None, frame: pd.DataFrame) -> ChallengeHistory:
    """Predictions of both models for the months that the challenger can be compared on.

    Without a champion, the baseline is the subscription rate of the months before.

    Args:
        challenger: challenger model.
        champion: champion model; None to compare with a constant.
        frame: rows of the challenger's dataset, oldest first.
    """
    months = {str(period): rows for period, rows in frame.groupby("period", observed=True)}
    digests = month_digests(months)
    compared = [period for period in sorted(months) if digests[period] in challenger.months]
    ours = [challenger.months[digests[period]] for period in compared]
    parts: list[tuple[Values, float]] = []
    for period in compared:
        rows = months[period]
        before = frame.loc[frame["period"] < period, "y"]
        parts.append(_predict(champion, rows, digests[period]) if champion else _constant(len(rows), before))
    sizes = [len(months[period]) for period in compared]
    kind = ChallengeKind.CHANGE
    if champion is None:
        kind = ChallengeKind.FIRST
    elif champion.table is not None and champion.table == challenger.table:
        kind = ChallengeKind.REFRESH
    return ChallengeHistory(
        kind,
        np.repeat(np.array(compared, dtype=str), sizes),
        np.concatenate([months[period]["y"].to_numpy(np.int8) for period in compared]),
        np.concatenate([np.array(month.probabilities) for month in ours]),
        np.concatenate([part for part, _ in parts]),
        np.repeat([month.threshold for month in ours], sizes),
        np.repeat([threshold for _, threshold in parts], sizes),
        champion.artifact.metadata.train_end if champion else "",
    )


def _constant(rows: int, before: pd.Series) -> tuple[Values, float]:
    return np.full(rows, float(before.mean()) if len(before) else np.nan), 0.5


def _predict(model: OpenedModel, rows: pd.DataFrame, digest: str) -> tuple[Values, float]:
    """Predictions and threshold for a month: the model's own if the month is new to it, else its rolling-origin ones.

    NaN if these are not known.
    """
    if str(rows["period"].iloc[0]) > model.artifact.metadata.train_end:
        return predict(model.artifact, rows).probabilities, model.artifact.threshold
    month = model.months.get(digest)
    if month is None:
        return np.full(len(rows), np.nan), 0.5
    return np.array(month.probabilities), month.threshold
