"""What registered models would have answered in months that they had not seen."""

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
    """A model, and its months before it was trained by the content of their rows; models of one recipe have none."""

    artifact: ModelArtifact
    months: dict[str, ForwardMonth]

    @property
    def table(self) -> object:
        """The key of its table of recipes; None of a model of one recipe."""
        return self.artifact.metadata.recipe.get("table")


def open_model(models: ModelRegistry, version: Version) -> OpenedModel:
    """A version, fetched and checked. Raises IntegrityError."""
    with TemporaryDirectory() as folder:
        files = models.download(version, Path(folder))
        return OpenedModel(ModelArtifact.load(files), {month.digest: month for month in load_forward(files)})


def challenge_history(challenger: OpenedModel, champion: OpenedModel | None, frame: pd.DataFrame) -> ChallengeHistory:
    """The months that the challenger can be judged on, with what the champion, or a constant, would have answered.

    Args:
        challenger: the model that wants the place.
        champion: the model that has it.
        frame: rows of the challenger's dataset, oldest first.
    """
    months = {str(period): rows for period, rows in frame.groupby("period", observed=True)}
    digests = month_digests(months)
    judged = [period for period in sorted(months) if digests[period] in challenger.months]
    ours = [challenger.months[digests[period]] for period in judged]
    parts: list[tuple[Values, float]] = []
    for period in judged:
        rows = months[period]
        before = frame.loc[frame["period"] < period, "y"]
        parts.append(_answers(champion, rows, digests[period]) if champion else _constant(len(rows), before))
    sizes = [len(months[period]) for period in judged]
    kind = ChallengeKind.CHANGE
    if champion is None:
        kind = ChallengeKind.FIRST
    elif champion.table is not None and champion.table == challenger.table:
        kind = ChallengeKind.REFRESH
    return ChallengeHistory(
        kind,
        np.repeat(np.array(judged, dtype=str), sizes),
        np.concatenate([months[period]["y"].to_numpy(np.int8) for period in judged]),
        np.concatenate([np.array(month.probabilities) for month in ours]),
        np.concatenate([part for part, _ in parts]),
        np.repeat([month.threshold for month in ours], sizes),
        np.repeat([threshold for _, threshold in parts], sizes),
        champion.artifact.metadata.train_end if champion else "",
    )


def _constant(rows: int, before: pd.Series) -> tuple[Values, float]:
    return np.full(rows, float(before.mean()) if len(before) else np.nan), 0.5


def _answers(model: OpenedModel, rows: pd.DataFrame, digest: str) -> tuple[Values, float]:
    """Of a month that the model has not seen itself; else as its table would have answered, if that is known."""
    if str(rows["period"].iloc[0]) > model.artifact.metadata.train_end:
        return predict(model.artifact, rows).probabilities, model.artifact.threshold
    month = model.months.get(digest)
    if month is None:
        return np.full(len(rows), np.nan), 0.5
    return np.array(month.probabilities), month.threshold
