"""`make bench-models`: every recipe, the refit policy and naive approaches, on the same months of the public data set.

Each month is scored by models that were fitted on earlier months only, except for the naive approaches that leak.
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
from benchmarks.pairs import evaluate_gates
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
class ScoredHistory:
    """All months scored by the models of their time, and also by older models.

    Args:
        trainer: trainer of the models, with the months' data.
        standing: the mixture month by month.
        stale: log-odds by the index of the fold that a model was fitted for and the index of the same or a later fold
            whose month it scores, each of shape (recipes, rows of the month).
        seconds: CPU time and elapsed time of scoring, in seconds.
    """

    trainer: Trainer
    standing: Standing
    stale: dict[tuple[int, int], Values]
    seconds: tuple[float, float]


def score_history(frame: pd.DataFrame) -> ScoredHistory:
    """Score each month, and score all later months with each month's models too."""
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
    return ScoredHistory(trainer, standing, stale, seconds)


def never_retrained(history: ScoredHistory) -> Predictions:
    """Predictions of the first month's mixture for all months."""
    weights = history.standing.weights(history.standing.forward.folds[0])
    by_member = np.array([weights.get(recipe.name, 0.0) for recipe in RECIPES])
    return _answered(
        history, [by_member @ history.stale[0, place] for place in range(len(history.standing.forward.folds))]
    )


def gated(history: ScoredHistory, recipe: str, score: str) -> Predictions:
    """Predictions of a recipe refitted every month, promoted if its accuracy or F1 on the newest month is higher.

    Both scores are taken at a threshold of 0.5.
    """
    folds, number = history.standing.forward.folds, history.standing.forward.recipes.index(recipe)
    champion, answers = 0, []
    for place, _ in enumerate(folds):
        if place:
            labels = history.standing.forward.labels[history.standing.forward.rows(folds[place - 1].period)]
            scores = [
                _score(score, labels, history.stale[origin, place - 1][number] > 0) for origin in (champion, place - 1)
            ]
            champion = place - 1 if scores[1] > scores[0] else champion
        answers.append(history.stale[champion, place][number])
    return _answered(history, answers)


def dynamic(history: ScoredHistory, forgetting: float) -> Predictions:
    """Predictions of a dynamic logistic regression, fitted for each month on the labelled months before it."""
    answers = []
    for fold in history.standing.forward.folds:
        rows = EncodedRows.of(pd.concat([history.trainer.months[month] for month in fold.labelled]))
        coefficients = fit_dynamic(rows, forgetting)
        answers.append(linear_log_odds(coefficients, rows.encoder.encode_columns(history.trainer.months[fold.period])))
    return _answered(history, answers)


def _score(name: str, labels: np.ndarray, called: np.ndarray) -> float:
    ones = np.ones((1, len(labels)))
    values = metrics.f1(labels, called, ones) if name == "f1" else metrics.mean(called == (labels == 1), ones)
    return float(values[0])


def _answered(history: ScoredHistory, log_odds: Sequence[Values]) -> Predictions:
    forward = history.standing.forward
    return Predictions(forward.periods, forward.labels, sigmoid(np.concatenate(log_odds)))


def shuffled(frame: pd.DataFrame, durations: Values | None, seed: int = SEED) -> tuple[float, float]:
    """Return ROC AUC and log loss on a random fifth of all rows after training on the rest; `duration` is optional."""
    order = np.random.default_rng(seed).permutation(len(frame))
    cut = len(frame) // 5
    test, train = order[:cut], order[cut:]
    rows = EncodedRows.of(frame.iloc[train])
    matrix = rows.encoder.encode_columns(frame.iloc[test])
    if durations is not None:
        # replaces the values of a column that matters little
        place = rows.encoder.names().index("cons.conf.idx")
        rows.matrix[:, place], matrix[:, place] = durations[train], durations[test]
    member = fit(Recipe("xgboost", "xgboost"), rows, Trees(), seed)
    probabilities = sigmoid(member.log_odds(rows.encoder, matrix))
    labels = frame["y"].to_numpy(np.int8)[test]
    return metrics.roc_auc(labels, probabilities), metrics.log_loss(labels, probabilities)


def rows_of(history: ScoredHistory) -> Iterator[Row]:
    """Yield the rows of the table."""
    forward, standing = history.standing.forward, history.standing
    policy = backtest(history.trainer, standing, RefitPolicy(SelectSettings()))
    yield Row("**the refit policy**", "policy", policy.predictions)
    for recipe in RECIPES:
        yield Row(recipe.name, "recipe", member_predictions(forward, recipe.name))
    for title, forgetting in FORGETTING.items():
        yield Row(title, "candidate", dynamic(history, forgetting))
    yield Row("never retrained: the mixture of the first month", "naive", never_retrained(history))
    for recipe_name in ("xgboost", "logistic"):
        for score in ("f1", "accuracy"):
            title = f"{recipe_name}, promoted by {'F1' if score == 'f1' else score}"
            yield Row(title, "naive", gated(history, recipe_name, score))


def main() -> None:
    """Run the benchmark and write the report and its figure."""
    with tempfile.TemporaryDirectory() as folder:
        source = sources.fetch(IngestSettings(), Path(folder), log_progress)
        good = ingest.check(source, log_progress).good
    frame = good.assign(period=periods.assign(good["month"], 2008, 2026)).reset_index(drop=True)
    raw = pd.read_csv(next((REPOSITORY / "data").glob("*.csv.xz")), sep=";")
    durations = raw[LEAKAGE_COLUMN].to_numpy(np.float64)
    history = score_history(frame)
    gates = evaluate_gates(history.standing.forward, history.stale)
    leaks = {"shuffled split": shuffled(frame, None), "shuffled split, with `duration`": shuffled(frame, durations)}
    rows = list(rows_of(history))
    OUTPUT.write_text(report(rows, gates, leaks, history.standing, history.seconds))
    picture(rows).savefig(PICTURE, dpi=110)
    log_progress(f"wrote {OUTPUT}")


if __name__ == "__main__":
    main()
