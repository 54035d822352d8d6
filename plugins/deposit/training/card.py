"""The model card: what an auditor needs to know of a model, as Markdown. Pure."""

from deposit.console import shown
from deposit.data.columns import LEAKAGE_COLUMN
from deposit.model.worth import AT_CAPACITY
from deposit.training.challenger import Challenger

_PROFITS = {
    "profit": "Profit of calling whom it pays to call",
    "profit_expected": "Profit that the probabilities promised of it",
    "profit_random": "Profit of as many calls at random",
    "profit_call_everyone": "Profit of calling everyone",
    "profit_over_everyone": "Profit beside calling everyone",
    "profit_oracle": "Profit of an oracle",
}
LABELS = {
    "roc_auc_month_mean": "ROC AUC, mean of the months",
    "capture_30_month_mean": "Subscribers in the best 30 %, mean of the months",
    **_PROFITS,
    **{f"{name}{AT_CAPACITY}": f"{label}, at capacity" for name, label in _PROFITS.items()},
    "log_loss": "Log loss",
    "brier": "Brier score",
    "ece": "Expected calibration error",
    "roc_auc": "ROC AUC, all months pooled",
    "pr_auc": "PR AUC (average precision), all months pooled",
    "lift_10": "Lift in the best 10 %, all months pooled",
    "capture_30": "Subscribers in the best 30 %, all months pooled",
    "accuracy": "Accuracy at the threshold",
    "f1": "F1 at the threshold",
}
_NOT_FOR = (
    "## Not for",
    "",
    "- Decisions about a customer other than whom to call first: no credit, price or eligibility decision.",
    "- Customers unlike those called between the months above, or another product or country.",
    "- Unattended use for long: rates change several-fold within a year; retrain on every labelled month.",
    "- Causal claims: only people who were called are in the data. Age and marital status are inputs: "
    "check the law that applies before use.",
    "",
)


def model_card(challenger: Challenger) -> str:
    """The card of a training's model."""
    artifact, metadata = challenger.artifact, challenger.artifact.metadata
    return "\n".join(
        [
            f"# Model card: {challenger.name}",
            "",
            "Gives the probability that a customer subscribes to a term deposit when called, to rank whom to call.",
            "",
            "## Trained on",
            "",
            f"- Dataset `{metadata.dataset}`, {metadata.development_rows:,} calls from {metadata.train_start} to "
            f"{metadata.train_end}, of which {metadata.development_rate:.1%} ended in a subscription.",
            f"- Columns: {', '.join(artifact.encoder.columns)}. `{LEAKAGE_COLUMN}` is known only after the "
            "call: never used.",
            f"- Code {metadata.revision}, uv.lock sha256 {metadata.lock_sha256}, trained {metadata.created} (UTC).",
            "",
            "## Members",
            "",
            "Their log-odds are added by weights that follow each member's log loss month by month.",
            "",
            *_members(challenger),
            "",
            f"## What may be expected: {metadata.test_start} to {metadata.test_end}, month by month",
            "",
            "Each month as it would have been answered: members, weights and threshold from the labelled months before "
            "it. What is served is fitted on every labelled month, these included.",
            "",
            "| Metric | Value | 95 % by calls | 95 % by months |",
            "|---|---|---|---|",
            *_rows(challenger),
            "",
            "Intervals by calls resample the calls of each month, those by months the months. Which months come "
            "matters more: the rate of subscriptions and the order of customers change from month to month.",
            "",
            *_curve(challenger),
            "",
            *_NOT_FOR,
        ]
    )


def _members(challenger: Challenger) -> list[str]:
    return [
        "| Member | Weight | ROC AUC, mean of the months | Log loss |",
        "|---|---|---|---|",
        *(
            f"| {each.recipe.name} | {each.weight:.3f} | {shown(each.metrics['roc_auc_month_mean'])} "
            f"| {shown(each.metrics['log_loss'])} |"
            for each in sorted(challenger.members, key=lambda each: -each.weight)
        ),
    ]


def _rows(challenger: Challenger) -> list[str]:
    rows = []
    for name, metric in challenger.metrics.items():
        months = challenger.by_months[name]
        by_calls, by_months = (f"{shown(each.low)} to {shown(each.high)}" for each in (metric, months))
        rows.append(f"| {LABELS[name]} | {shown(metric.value)} | {by_calls} | {by_months} |")
    return rows


def _curve(challenger: Challenger) -> list[str]:
    return [
        "| Month | Calls | Rate | ROC AUC | Log loss | Profit | Calling everyone |",
        "|---|---|---|---|---|---|---|",
        *(
            f"| {each.period} | {each.rows:,} | {each.rate:.1%} | {shown(each.roc_auc)} | {shown(each.log_loss)} "
            f"| {shown(each.profit)} | {shown(each.profit_call_everyone)} |"
            for each in challenger.curve
        ),
    ]
