"""The model card: what an auditor needs to know of a model, as Markdown. Pure."""

from collections.abc import Mapping

from deposit.console import shown
from deposit.data.columns import LEAKAGE_COLUMN
from deposit.training.candidates import Candidate
from deposit.training.windows import Windows

LABELS = {
    "accuracy": "Accuracy at the threshold",
    "f1": "F1 at the threshold",
    "roc_auc": "ROC AUC, all months pooled",
    "roc_auc_month_mean": "ROC AUC, mean of the months",
    "pr_auc": "PR AUC (average precision)",
    "brier": "Brier score",
    "log_loss": "Log loss",
    "ece": "Expected calibration error",
    "lift_10": "Lift in the best 10 %",
    "capture_30": "Subscribers in the best 30 %",
    "profit": "Profit of calling whom it pays to call",
    "profit_call_everyone": "Profit of calling everyone",
    "profit_oracle": "Profit of an oracle",
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


def model_card(candidate: Candidate, windows: Windows, challenger: bool) -> str:
    """The card of one candidate."""
    metadata = candidate.artifact.metadata
    standing = "the challenger: it had the lowest validation log loss" if challenger else "not the challenger"
    return "\n".join(
        [
            f"# Model card: {candidate.name}",
            "",
            "Gives the probability that a customer subscribes to a term deposit when called, to rank whom to call.",
            f"In its training this model is {standing}.",
            "",
            "## Trained on",
            "",
            f"- Dataset `{metadata.dataset}`, {metadata.development_rows:,} calls from {windows.development[0]} to "
            f"{windows.train_end}, of which {metadata.development_rate:.1%} ended in a subscription.",
            f"- Columns: {', '.join(candidate.artifact.encoder.columns)}. `{LEAKAGE_COLUMN}` is known only after the "
            "call: never used.",
            f"- Recipe: {_recipe(metadata.recipe)}.",
            f"- Code {metadata.revision}, uv.lock sha256 {metadata.lock_sha256}, trained {metadata.created} (UTC).",
            "",
            "## Windows",
            "",
            f"- Recipe, calibration (log-odds {candidate.artifact.shift:+.3f}) and threshold "
            f"({candidate.artifact.threshold:.3f}) were chosen on {windows.validation[0]} to "
            f"{windows.validation[-1]}, each month predicted by a model of the months before it.",
            f"- The test window, {windows.test[0]} to {windows.test[-1]}, was looked at once and chose nothing.",
            "",
            "## Out of time, on the test window",
            "",
            "| Metric | Value | 95 % interval | On validation |",
            "|---|---|---|---|",
            *_rows(candidate),
            "",
            "The intervals resample calls within each month. Which months come is not in them and matters more: "
            "the rate of subscriptions and the order of customers change from month to month.",
            "",
            *_NOT_FOR,
        ]
    )


def _recipe(recipe: Mapping[str, object]) -> str:
    return ", ".join(
        f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}" for name, value in recipe.items()
    )


def _rows(candidate: Candidate) -> list[str]:
    return [
        f"| {LABELS[name]} | {shown(metric.value)} | {shown(metric.low)} to {shown(metric.high)} "
        f"| {shown(candidate.tuned.validation[name])} |"
        for name, metric in candidate.test.items()
    ]
