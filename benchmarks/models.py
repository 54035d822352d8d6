"""`make bench-models`: every recipe, the refit policy and the naive ways, on the same months of the public history.

Each month is scored by what saw only the months before it, but for the naive ways whose fault is that they do not.
"""

import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.candidates import FORGETTING, fit_dynamic
from benchmarks.models_report import Row, picture, report
from benchmarks.pairs import Verdicts, judge_pairs
from deposit.data import ingest, periods, sources
from deposit.data.columns import LEAKAGE_COLUMN
from deposit.model import metrics
from deposit.model.evaluation import Predictions
from deposit.model.mixture import Values, linear_log_odds
from deposit.progress import log_progress
from deposit.sections import IngestSettings, SelectSettings
from deposit.selection.backtest import backtest
from deposit.selection.gate import RefitPolicy
from deposit.settings import REPOSITORY
from deposit.training.fitting import EncodedRows, fit
from deposit.training.forward_cache import ForwardCache
from deposit.training.recipes import RECIPES, Recipe, Trees
from deposit.training.rolling_origin import Fitting, Trainer
from deposit.training.weighting import Standing, member_predictions, sigmoid

OUTPUT = Path(__file__).with_name("MODELS.md")
PICTURE = Path(__file__).with_name("MODELS.png")
SEED = 7


@dataclass(frozen=True, eq=False)
class Lived:
    """A history lived through: who fitted it, what was answered, and what old models would have answered.

    Args:
        trainer: of the history.
        standing: the mixture month by month.
        stale: log-odds by the place of the fold that a model was fitted for and that of a later one's month, each of
            shape (recipes, rows of the month).
        seconds: of processor and of the clock that scoring took.
    """

    trainer: Trainer
    standing: Standing
    stale: dict[tuple[int, int], Values]
    seconds: tuple[float, float]


def live(frame: pd.DataFrame) -> Lived:
    """Score each month, and let each month's models answer the later ones too."""
    trainer = Trainer(frame, Fitting(seed=SEED, threads=os.cpu_count() or 1), ForwardCache(), log_progress)
    began = time.process_time(), time.monotonic()
    standing = Standing(trainer.score())
    seconds = time.process_time() - began[0], time.monotonic() - began[1]
    folds, stale = standing.forward.folds, {}
    for origin, fold in enumerate(folds):
        rows, members = trainer.fit(fold.labelled, RECIPES)
        encoder = rows.encoder
        by_name = {member.recipe: member for member in members}
        for place in range(origin, len(folds)):
            matrix = encoder.encode_columns(trainer.months[folds[place].period])
            stale[origin, place] = np.array([by_name[recipe].log_odds(encoder, matrix) for recipe in RECIPES])
    return Lived(trainer, standing, stale, seconds)


def never_retrained(lived: Lived) -> Predictions:
    """The first month's mixture, for ever."""
    weights = lived.standing.weights(lived.standing.forward.folds[0])
    by_member = np.array([weights.get(recipe.name, 0.0) for recipe in RECIPES])
    return _answered(lived, [by_member @ lived.stale[0, place] for place in range(len(lived.standing.forward.folds))])


def gated(lived: Lived, recipe: str, score: str) -> Predictions:
    """One recipe refitted each month, promoted where accuracy or F1 at one half was higher on the newest month."""
    folds, number = lived.standing.forward.folds, lived.standing.forward.recipes.index(recipe)
    champion, answers = 0, []
    for place, _ in enumerate(folds):
        if place:
            labels = lived.standing.forward.labels[lived.standing.forward.rows(folds[place - 1].period)]
            scores = [
                _score(score, labels, lived.stale[origin, place - 1][number] > 0) for origin in (champion, place - 1)
            ]
            champion = place - 1 if scores[1] > scores[0] else champion
        answers.append(lived.stale[champion, place][number])
    return _answered(lived, answers)


def dynamic(lived: Lived, forgetting: float) -> Predictions:
    """A dynamic logistic regression, fitted for each month on the labelled ones before."""
    answers = []
    for fold in lived.standing.forward.folds:
        rows = EncodedRows.of(pd.concat([lived.trainer.months[month] for month in fold.labelled]))
        coefficients = fit_dynamic(rows, forgetting)
        answers.append(linear_log_odds(coefficients, rows.encoder.encode_columns(lived.trainer.months[fold.period])))
    return _answered(lived, answers)


def _score(name: str, labels: np.ndarray, called: np.ndarray) -> float:
    ones = np.ones((1, len(labels)))
    values = metrics.f1(labels, called, ones) if name == "f1" else metrics.mean(called == (labels == 1), ones)
    return float(values[0])


def _answered(lived: Lived, log_odds: Sequence[Values]) -> Predictions:
    forward = lived.standing.forward
    return Predictions(forward.periods, forward.labels, sigmoid(np.concatenate(log_odds)))


def shuffled(frame: pd.DataFrame, durations: Values | None, seed: int = SEED) -> tuple[float, float]:
    """ROC AUC and log loss on a random fifth of all rows, the rest learned from; with `duration` if it is given."""
    order = np.random.default_rng(seed).permutation(len(frame))
    cut = len(frame) // 5
    test, train = order[:cut], order[cut:]
    rows = EncodedRows.of(frame.iloc[train])
    matrix = rows.encoder.encode_columns(frame.iloc[test])
    if durations is not None:
        # the place of a column that nobody misses
        place = rows.encoder.names().index("cons.conf.idx")
        rows.matrix[:, place], matrix[:, place] = durations[train], durations[test]
    member = fit(Recipe("xgboost", "xgboost"), rows, Trees(), seed)
    probabilities = sigmoid(member.log_odds(rows.encoder, matrix))
    labels = frame["y"].to_numpy(np.int8)[test]
    return metrics.roc_auc(labels, probabilities), metrics.log_loss(labels, probabilities)


def rows_of(lived: Lived) -> Iterator[Row]:
    """What the table shows, one by one."""
    forward, standing = lived.standing.forward, lived.standing
    policy = backtest(lived.trainer, standing, RefitPolicy(SelectSettings()))
    yield Row("**the refit policy**", "policy", policy.predictions)
    for recipe in RECIPES:
        yield Row(recipe.name, "recipe", member_predictions(forward, recipe.name))
    for title, forgetting in FORGETTING.items():
        yield Row(title, "candidate", dynamic(lived, forgetting))
    yield Row("never retrained: the mixture of the first month", "naive", never_retrained(lived))
    for recipe_name in ("xgboost", "logistic"):
        for score in ("f1", "accuracy"):
            title = f"{recipe_name}, promoted by {'F1' if score == 'f1' else score}"
            yield Row(title, "naive", gated(lived, recipe_name, score))


def main() -> None:
    """Write the report and its picture."""
    with tempfile.TemporaryDirectory() as folder:
        source = sources.fetch(IngestSettings(), Path(folder), log_progress)
        good = ingest.check(source, log_progress).good
    frame = good.assign(period=periods.assign(good["month"], 2008, 2026)).reset_index(drop=True)
    raw = pd.read_csv(next((REPOSITORY / "data").glob("*.csv.xz")), sep=";")
    durations = raw[LEAKAGE_COLUMN].to_numpy(np.float64)
    lived = live(frame)
    verdicts: Verdicts = judge_pairs(lived.standing.forward, lived.stale)
    leaks = {"shuffled split": shuffled(frame, None), "shuffled split, with `duration`": shuffled(frame, durations)}
    rows = list(rows_of(lived))
    OUTPUT.write_text(report(rows, verdicts, leaks, lived.standing, lived.seconds))
    picture(rows).savefig(PICTURE, dpi=110)
    log_progress(f"wrote {OUTPUT}")


if __name__ == "__main__":
    main()
