"""What a person sees of a training, a selection and an evaluation."""

from rich.markup import escape

from deposit import console
from deposit.selection.backtest import EvaluatedModel, Evaluation
from deposit.selection.selection import Selection
from deposit.training.card import LABELS
from deposit.training.training import TrainingResult

_SHOWN = ("roc_auc_month_mean", "log_loss", "brier", "capture_30_month_mean", "profit")


def print_training(result: TrainingResult) -> None:
    """The model as its months would have been answered, with intervals, and its members."""
    again = " (done before with the same data, settings and code)" if result.reused else ""
    console.out.print(f"\n[bold]Trained[/] on dataset {result.dataset}: MLflow run {result.run_id}{again}")
    console.table(
        f"{result.challenger}: each month as it would have been answered, fitted on the months before it",
        ["metric", "value", "95 %, calls resampled", "95 %, months resampled"],
        [[label, *_cells(result, name)] for name, label in LABELS.items() if name in result.metrics],
    )
    console.table(
        "Its members: weight today, and each alone",
        ["recipe", "weight", *(LABELS[name] for name in _SHOWN)],
        [
            [
                each.name,
                f"{each.weight:.3f}" if each.weight else "-",
                *(console.shown(each.metrics.get(name)) for name in _SHOWN),
            ]
            for each in sorted(result.recipes, key=lambda each: -each.weight)
        ],
    )


def print_worth(result: TrainingResult, deposit_value: float, call_cost: float) -> None:
    """In one line, what choosing by the model is worth."""
    profit, everyone = result.metrics["profit"], result.metrics["profit_call_everyone"]
    low, high = (result.metrics[f"profit_month_{bound}"] for bound in ("low", "high"))
    captured = result.metrics["capture_30_month_mean"]
    console.out.print(
        f"[bold]Worth[/] at {deposit_value:g} a subscription and {call_cost:g} a call: {profit:,.0f} "
        f"({low:,.0f} to {high:,.0f} by which months come), {profit - everyone:+,.0f} beside calling everyone; "
        f"the best 30 % of a month's list hold {captured:.0%} of its subscribers"
    )


def print_selection(selection: Selection) -> None:
    """The criteria, each with what it was held against, and the outcome."""
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
        [console.shown(result.metrics.get(f"{name}_{bound}")) for bound in pair]
        for pair in (("low", "high"), ("month_low", "month_high"))
    ]
    return [console.shown(result.metrics.get(name)), *(f"{low} to {high}" for low, high in bounds)]


def print_evaluation(evaluation: Evaluation) -> None:
    """The policy beside each recipe, and its months."""
    models = [evaluation.policy, *evaluation.recipes]
    console.table(
        f"Dataset {evaluation.dataset}, {len(evaluation.months)} months, each scored by the labelled months before it; "
        "in brackets 95 %, months resampled",
        ["", *(LABELS[name] for name in _SHOWN)],
        [[model.name, *(_with_interval(model, name) for name in _SHOWN)] for model in models],
    )
    console.table(
        "The policy by month",
        ["month", "calls", "rate", "ROC AUC", "log loss", "profit", "calling everyone", "fitted through"],
        [
            [
                each.period, f"{each.rows:,}", f"{each.rate:.1%}", console.shown(each.roc_auc),
                console.shown(each.log_loss), console.shown(each.profit), console.shown(each.profit_call_everyone),
                month.train_end,
            ]
            for each, month in zip(evaluation.policy.curve, evaluation.months, strict=True)
        ],
    )  # fmt: skip


def _with_interval(model: EvaluatedModel, name: str) -> str:
    metric = model.by_months[name]
    return f"{console.shown(metric.value)} \\[{console.shown(metric.low)}, {console.shown(metric.high)}]"
