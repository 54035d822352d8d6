"""`benchmarks/MODELS.md` and its picture. Pure: values in, text and a figure out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from matplotlib.figure import Figure

from benchmarks.pairs import Verdicts
from deposit.model.evaluation import MONTH_ROWS, Economics, Interval, Predictions, by_month, evaluate, point_metrics
from deposit.training.weighting import Standing

VALUES = (4.0, 10.0)
"""Prices of a subscription, at 1 a call."""
_RESAMPLES, _SEED = 300, 7
_METRICS = ("roc_auc_month_mean", "roc_auc", "log_loss", "brier", "capture_30_month_mean")
_TITLES = ("AUC, month mean", "AUC, pooled", "log loss", "Brier", "capture@30 %, month mean")


@dataclass(frozen=True, eq=False)
class Row:
    """A way to answer the months; `kind` is policy, recipe, candidate or naive."""

    title: str
    kind: str
    predictions: Predictions

    @cached_property
    def intervals(self) -> tuple[dict[str, Interval], dict[str, Interval]]:
        """Every metric, with intervals by rows and by months, at the first price."""
        money = Economics(VALUES[0], 1.0)
        by_rows, by_months = (
            evaluate(self.predictions, 0.5, money, _RESAMPLES, _SEED, resampled) for resampled in ("rows", "months")
        )
        return by_rows, by_months

    def profits(self, value: float, name: str = "profit") -> np.ndarray:
        """By month, in time order."""
        return np.array([getattr(month, name) for month in by_month(self.predictions, Economics(value, 1.0))])


def report(
    rows: Sequence[Row],
    verdicts: Verdicts,
    leaks: Mapping[str, tuple[float, float]],
    standing: Standing,
    seconds: tuple[float, float],
) -> str:
    """The whole page."""
    policy, forward = rows[0], standing.forward
    weights = [(weight, name) for name, weight in standing.weights().items()]
    months = [fold.period for fold in forward.folds]
    everyone = {value: policy.profits(value, "profit_call_everyone").sum() for value in VALUES}
    oracle = {value: policy.profits(value, "profit_oracle").sum() for value in VALUES}
    lines = [
        "# What each way to choose customers is worth",
        "",
        f"Made by `make bench-models`. {len(months)} months, {months[0]} to {months[-1]}, {len(forward.labels):,} "
        f"calls, {int(forward.labels.sum()):,} subscriptions; each month answered by what saw only the months before "
        f"it. Months with fewer than {MONTH_ROWS} calls are in pooled figures and in profit, and not in means of "
        "months. In brackets 95 % intervals: calls resampled within months; months resampled. Which months come is by "
        "far the larger uncertainty. The policy and its table of recipes were fixed before these months were looked "
        "at; rows of single recipes are shown to be compared, and choosing the best of them afterwards is hindsight.",
        "",
        f"Profit at 1 a call. At {VALUES[0]:g} a subscription calling everyone earns {everyone[VALUES[0]]:,.0f}, an "
        f"oracle {oracle[VALUES[0]]:,.0f}; at {VALUES[1]:g} it is {everyone[VALUES[1]]:,.0f} and "
        f"{oracle[VALUES[1]]:,.0f}. Calling nobody earns 0.",
        "",
        "![ROC AUC by month, and profit so far](MODELS.png)",
        "",
        *_table([row for row in rows if row.kind != "naive"]),
        "",
        _against_random(policy),
        "",
        "The dynamic logistic regressions are candidates that the table of recipes does not hold: in them each month's "
        "estimate is the prior of the next.",
        "",
        "## What habits cost",
        "",
        *_table([policy, *(row for row in rows if row.kind == "naive")]),
        "",
        "| split | ROC AUC | log loss |",
        "|---|---|---|",
        *(
            f"| {title}: XGBoost, a random fifth held out | {auc:.3f} | {loss:.3f} |"
            for title, (auc, loss) in leaks.items()
        ),
        "",
        "A random split lets the model see the future, and `duration` is known only after the call: neither figure can "
        "be reached by a model that serves.",
        "",
        "## Both halves of the policy",
        "",
        *_halves(policy),
        "",
        "## Gates",
        "",
        f"{verdicts.pairs:,} pairs of champion and challenger in {verdicts.months} months: each recipe against each, "
        "the champion 0, 1, 3 or 6 months older. Judged on one labelled month, right if the next month's loss agrees.",
        "",
        "| promote if | promotes | right about the next month | better, of those promoted |",
        "|---|---|---|---|",
        *(
            f"| {name} | {each.promotes:.2f} | {each.right:.3f} [{each.right_low:.3f}, {each.right_high:.3f}] "
            f"| {each.better_if_promoted:.3f} |"
            for name, each in verdicts.records.items()
        ),
        "",
        "## Weights of the newest model",
        "",
        ", ".join(f"{name} {weight:.2f}" for weight, name in sorted(weights, reverse=True)),
        "",
        f"Scoring all months by all recipes took {seconds[0]:.0f} s of processor time, {seconds[1]:.0f} s in all.",
        "",
    ]
    return "\n".join(lines)


def _table(rows: Sequence[Row]) -> list[str]:
    head = ["", *_TITLES, *(f"profit at {value:g}" for value in VALUES)]
    return [
        f"| {' | '.join(head)} |",
        "|" + "---|" * len(head),
        *(f"| {row.title} | {' | '.join(_cells(row))} |" for row in rows),
    ]


def _cells(row: Row) -> list[str]:
    by_rows, by_months = row.intervals
    cells = [
        f"{by_rows[name].value:.3f} [{by_rows[name].low:.3f}, {by_rows[name].high:.3f}] "
        f"[{by_months[name].low:.3f}, {by_months[name].high:.3f}]"
        for name in _METRICS
    ]
    first = by_rows["profit"]
    low, high = _months_interval(row.profits(VALUES[0]))
    cells.append(f"{first.value:,.0f} [{first.low:,.0f}, {first.high:,.0f}] [{low:,.0f}, {high:,.0f}]")
    profits = row.profits(VALUES[1])
    low, high = _months_interval(profits)
    return [*cells, f"{profits.sum():,.0f} [{low:,.0f}, {high:,.0f}]"]


def _months_interval(values: np.ndarray) -> tuple[float, float]:
    drawn = np.random.default_rng(_SEED).integers(len(values), size=(2000, len(values)))
    low, high = np.quantile(values[drawn].sum(axis=1), [0.025, 0.975])
    return float(low), float(high)


def _against_random(policy: Row) -> str:
    captures = [
        month.capture_30
        for month in by_month(policy.predictions, Economics(VALUES[0], 1.0))
        if month.rows >= MONTH_ROWS
    ]
    better = sum(capture > 0.3 for capture in captures)
    return (
        f"Calling 30 % of a month by the policy is better than as many calls at random in {better} of {len(captures)} "
        "months."
    )


def _halves(policy: Row) -> list[str]:
    months = np.unique(policy.predictions.periods)
    lines = [
        "| months | " + " | ".join(_TITLES) + " | profit at 4 | calling everyone |",
        "|" + "---|" * (len(_TITLES) + 3),
    ]
    for half in (months[: len(months) // 2], months[len(months) // 2 :]):
        kept = np.isin(policy.predictions.periods, half)
        part = Predictions(*(each[kept] for each in vars(policy.predictions).values()))
        values = point_metrics(part, 0.5, Economics(VALUES[0], 1.0))
        cells = " | ".join(f"{values[name]:.3f}" for name in _METRICS)
        lines.append(
            f"| {half[0]} to {half[-1]} | {cells} | {values['profit']:,.0f} | {values['profit_call_everyone']:,.0f} |"
        )
    return lines


def picture(rows: Sequence[Row]) -> Figure:
    """ROC AUC by month, and profit so far, of the policy, never retraining, the rate table and everyone."""
    shown = {
        "the refit policy": (rows[0], "#1f5fa8"),
        "never retrained": (next(row for row in rows if row.title.startswith("never")), "#c0392b"),
        "rate table": (next(row for row in rows if row.title == "rates"), "#2e8b57"),
    }
    months = np.unique(rows[0].predictions.periods)
    figure = Figure(figsize=(12, 8), layout="constrained")
    ranks, money = figure.subplots(2, 1, sharex=True)
    places = np.arange(len(months))
    for title, (row, color) in shown.items():
        curve = by_month(row.predictions, Economics(VALUES[0], 1.0))
        auc = [month.roc_auc if month.rows >= MONTH_ROWS else np.nan for month in curve]
        ranks.plot(places, auc, "o-", color=color, label=title, markersize=4)
        money.plot(places, np.cumsum(row.profits(VALUES[0])), color=color, label=title)
    money.plot(places, np.cumsum(rows[0].profits(VALUES[0], "profit_call_everyone")), color="#8a8a8a", label="everyone")
    ranks.axhline(0.5, color="#cccccc")
    ranks.set_title("ROC AUC within each month, scored before its outcomes were known", loc="left")
    money.set_title(f"Profit so far at {VALUES[0]:g} a subscription and 1 a call", loc="left")
    money.set_xticks(places, months, rotation=60)
    for axes in (ranks, money):
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    return figure
