"""Diagnostic plots, each titled with what it shows. Pure: values in, figures out.

Margins are fixed: computing them takes Matplotlib as long as drawing the figure.
"""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from deposit.model.artifact import ModelArtifact
from deposit.model.evaluation import Economics, Predictions
from deposit.model.metrics import BINS
from deposit.model.mixture import Mixture
from deposit.training.profiling import mean_contributions

_MODEL, _BASELINE, _ORACLE = "#1f5fa8", "#8a8a8a", "#2e8b57"
_SHOWN = 15


def figures(artifact: ModelArtifact, predictions: Predictions, economics: Economics) -> Mapping[str, Figure]:
    """All figures of a model and its rolling-origin predictions, by file name."""
    plots = {
        "plots/roc_and_pr.png": _curves(predictions),
        "plots/calibration.png": _calibration(predictions),
        "plots/gain_and_profit.png": _gain(predictions, economics),
    }
    if isinstance(artifact.scorer, Mixture):
        plots["plots/importances.png"] = _importances(artifact, artifact.scorer)
    return plots


def _pair(title: str) -> tuple[Figure, Axes, Axes]:
    figure = Figure(figsize=(11, 5))
    figure.subplots_adjust(0.06, 0.11, 0.99, 0.86, wspace=0.22)
    figure.suptitle(title)
    left, right = figure.subplots(1, 2)
    return figure, left, right


def _curves(predictions: Predictions) -> Figure:
    labels = predictions.labels[np.argsort(-predictions.probabilities, kind="stable")]
    caught, called = np.cumsum(labels), np.arange(1, len(labels) + 1)
    positives, negatives = max(int(labels.sum()), 1), max(int((1 - labels).sum()), 1)
    figure, left, right = _pair("How well the model ranks customers (out of time)")
    left.plot((called - caught) / negatives, caught / positives, color=_MODEL, label="model")
    left.plot([0, 1], [0, 1], "--", color=_BASELINE, label="random order")
    _name(left, "ROC curve", "share of non-subscribers called", "share of subscribers called")
    right.plot(caught / positives, caught / called, color=_MODEL, label="model")
    right.axhline(labels.sum() / len(labels), linestyle="--", color=_BASELINE, label="random order")
    right.set_ylim(0, 1)
    _name(right, "Precision and recall", "share of subscribers called", "share of calls that end in a subscription")
    return figure


def _calibration(predictions: Predictions) -> Figure:
    bins = np.minimum((predictions.probabilities * BINS).astype(int), BINS - 1)
    counts = np.bincount(bins, minlength=BINS)
    filled = counts > 0
    predicted = np.bincount(bins, predictions.probabilities, BINS)[filled] / counts[filled]
    observed = np.bincount(bins, predictions.labels, BINS)[filled] / counts[filled]
    figure, left, right = _pair("How well the probabilities are calibrated (out of time)")
    left.plot([0, 1], [0, 1], "--", color=_BASELINE, label="perfect")
    left.plot(predicted, observed, "o-", color=_MODEL, label="model")
    _name(left, "Calibration", "predicted probability", "subscription rate")
    right.hist(predictions.probabilities, bins=20, range=(0, 1), color=_MODEL, label="customers")
    _name(right, "Distribution of predicted probabilities", "predicted probability", "customers")
    return figure


def _gain(predictions: Predictions, economics: Economics) -> Figure:
    labels = predictions.labels[np.argsort(-predictions.probabilities, kind="stable")]
    depth = np.arange(len(labels) + 1) / len(labels)
    caught = np.append(0, np.cumsum(labels))
    earned = economics.deposit_value * caught - economics.call_cost * np.arange(len(labels) + 1)
    subscribers = int(caught[-1])
    everyone = economics.deposit_value * subscribers - economics.call_cost * len(labels)
    figure, left, right = _pair("Gain and profit of calling the best-ranked customers first (out of time)")
    left.plot(depth, caught / max(subscribers, 1), color=_MODEL, label="model")
    left.plot([0, 1], [0, 1], "--", color=_BASELINE, label="random order")
    left.plot([0, labels.mean(), 1], [0, 1, 1], ":", color=_ORACLE, label="oracle (knows the answers)")
    _name(left, "Gain", "share of the list called", "share of subscribers reached")
    right.plot(depth, earned, color=_MODEL, label="model's ranking")
    right.axhline(everyone, linestyle="--", color=_BASELINE, label="call everyone")
    oracle = max(subscribers * (economics.deposit_value - economics.call_cost), 0.0)
    right.axhline(oracle, linestyle=":", color=_ORACLE, label="oracle (knows the answers)")
    money = f"{economics.deposit_value:g} per subscription, {economics.call_cost:g} per call"
    _name(right, f"Profit at {money}", "share of the list called", "profit")
    return figure


def _importances(artifact: ModelArtifact, mixture: Mixture) -> Figure:
    sizes = list(mean_contributions(artifact, mixture).items())[:_SHOWN][::-1]
    figure = Figure(figsize=(9, 6))
    figure.subplots_adjust(0.14, 0.06, 0.98, 0.93)
    axes = figure.subplots()
    axes.barh([name for name, _ in sizes], [size for _, size in sizes], color=_MODEL)
    axes.set_title("Feature importance: mean absolute contribution to the log-odds")
    axes.grid(axis="x", alpha=0.3)
    return figure


def _name(axes: Axes, title: str, across: str, up: str) -> None:
    axes.set(title=title, xlabel=across, ylabel=up)
    axes.grid(alpha=0.3)
    axes.legend()
