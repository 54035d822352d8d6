"""Console output for a training, a selection and an evaluation."""

from collections.abc import Mapping

from rich.markup import escape

from deposit import console
from deposit.model.evaluation import Interval
from deposit.model.worth import AT_CAPACITY, RATES, describe_worth, worths_of
from deposit.selection.backtest import EvaluatedModel, Evaluation
from deposit.selection.selection import Selection
from deposit.training.card import LABELS
from deposit.training.training import TrainingResult

_SHOWN = ("roc_auc_month_mean", "profit", "capture_30_month_mean", "log_loss", "brier")
_BESIDE = ("profit_expected", "profit_random", "profit_call_everyone")


def print_training(result: TrainingResult) -> None:
    """Print the model's rolling-origin metrics with intervals, and its members."""
    again = " (reused: same data, settings and code)" if result.reused else ""
    console.out.print(f"\n[bold]Trained[/] on dataset {result.dataset}: MLflow run {result.run_id}{again}")
    console.table(
        f"{result.challenger}: each month scored by a model fitted on the months before it",
        ["metric", "value", "95 %, calls resampled", "95 %, months resampled"],
        [[label, *_cells(result, name)] for name, label in LABELS.items() if name in result.metrics],
    )
    console.table(
        "Recipes: current weight, and metrics of each alone",
        ["recipe", "weight", *(LABELS[name] for name in _SHOWN)],
        [
            [
                each.name,
                f"{each.weight:.3f}" if each.weight else "-",
                *(_cell(name, each.metrics.get(name)) for name in _SHOWN),
            ]
            for each in sorted(result.recipes, key=lambda each: -each.weight)
        ],
    )


def print_worth(result: TrainingResult) -> None:
    """Print in one line what the model's choice of customers is worth, at the prices recorded with the training."""
    rates = next((each.metrics for each in result.recipes if each.name == RATES), {})
    _print_worth(result.metrics, rates, result.metrics["deposit_value"], result.metrics["call_cost"])


def _print_worth(
    metrics: Mapping[str, float], rates: Mapping[str, float], deposit_value: float, call_cost: float
) -> None:
    """Print one line, and a second one if there is a capacity."""
    for worth in worths_of(metrics, rates, "_month"):
        limit = "" if worth.capacity is None else f" and at most {worth.capacity:,.0f} calls a month"
        console.out.print(
            f"[bold]Worth[/] at {deposit_value:g} a subscription, {call_cost:g} a call{limit}: {describe_worth(worth)}"
        )


def print_selection(selection: Selection) -> None:
    """Print the criteria with their thresholds, and the outcome."""
    if selection.criteria:
        console.out.print()
        console.table(
            f"Gate of {selection.model_id}",
            ["criterion", "value", "threshold", "passed"],
            [
                [item.name, f"{item.value:+.4f}", f"{item.threshold:+g}", "yes" if item.passed else "no"]
                for item in selection.criteria
            ],
        )
    console.out.print(f"[bold]Verdict[/] {escape(selection.reason)}")


def _cells(result: TrainingResult, name: str) -> list[str]:
    bounds = [
        [_cell(name, result.metrics.get(f"{name}_{bound}")) for bound in pair]
        for pair in (("low", "high"), ("month_low", "month_high"))
    ]
    return [_cell(name, result.metrics.get(name)), *(f"{low} to {high}" for low, high in bounds)]


def print_evaluation(evaluation: Evaluation) -> None:
    """Print the policy next to each recipe, and its months."""
    models = [evaluation.policy, *evaluation.recipes]
    console.table(
        f"Dataset {evaluation.dataset}, {len(evaluation.months)} months, each scored from the labelled months before; "
        "in brackets 95 %, months resampled",
        ["", *(LABELS[name] for name in _SHOWN)],
        [[model.name, *(_with_interval(model, name) for name in _SHOWN)] for model in models],
    )
    console.table(
        "The policy by month",
        ["month", "calls", "rate", "ROC AUC", "log loss", "fitted through"],
        [
            [
                each.period, f"{each.rows:,}", f"{each.rate:.1%}", console.shown(each.roc_auc),
                console.shown(each.log_loss), month.train_end,
            ]
            for each, month in zip(evaluation.policy.curve, evaluation.months, strict=True)
        ],
    )  # fmt: skip
    _print_profits(evaluation)


def _print_profits(evaluation: Evaluation) -> None:
    """Print the profit of each month by choice of customers, and the total worth in one line."""
    economics, policy = evaluation.economics, evaluation.policy
    rates = next(each for each in evaluation.recipes if each.name == RATES)
    tables = {"": "", AT_CAPACITY: f" with at most {economics.capacity} calls"}
    for end, limit in tables.items() if economics.capacity is not None else [("", "")]:
        console.table(
            f"Profit by month{limit}, by choice of customers; in brackets 95 %, calls resampled; calling nobody: 0",
            ["month", "the policy's choice", "as predicted", "at random", "everyone", "rate table", "oracle"],
            [
                [
                    month.period,
                    _interval("profit", month.profits[f"profit{end}"]),
                    *(_cell(name, month.profits[f"{name}{end}"].value) for name in _BESIDE),
                    _interval("profit", table.profits[f"profit{end}"]),
                    _cell("profit", month.profits[f"profit_oracle{end}"].value),
                ]
                for month, table in zip(policy.profits, rates.profits, strict=True)
            ],
        )
    capacity = {} if economics.capacity is None else {"capacity": economics.capacity}
    _print_worth(_by_name(policy) | capacity, _by_name(rates), economics.deposit_value, economics.call_cost)


def _by_name(model: EvaluatedModel) -> dict[str, float]:
    """Metrics with their bounds by months, named as those of a training in MLflow."""
    values: dict[str, float] = {}
    for name, metric in model.by_months.items():
        values |= {name: metric.value, f"{name}_month_low": metric.low, f"{name}_month_high": metric.high}
    return values


def _with_interval(model: EvaluatedModel, name: str) -> str:
    return _interval(name, model.by_months[name])


def _interval(name: str, metric: Interval) -> str:
    return f"{_cell(name, metric.value)} \\[{_cell(name, metric.low)}, {_cell(name, metric.high)}]"


def _cell(name: str, value: float | None) -> str:
    """Format a value; profits have no decimals."""
    money = value is not None and name.startswith("profit")
    return f"{value:,.0f}" if money else console.shown(value)
