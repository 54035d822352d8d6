"""The model card as Markdown sections, each with the charts that the HTML page adds. Pure.

Both forms share one text: the Markdown file joins the sections, the page renders each of them.
"""

import re
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass

from deposit.console import shown
from deposit.data.columns import LEAKAGE_COLUMN
from deposit.training import card_charts
from deposit.training.card import LABELS, CardFigures, ModelCard
from deposit.training.recipes import MACRO_FEATURES
from deposit.training.slices import LEAST_ROWS, METRICS, Estimate, Slice

_SPECIAL = re.compile(r"([\\`*_\[\]<>|~&#])")
_FLAG = "\u2020"
_REGRET = {"roc_auc_month_mean": max, "log_loss": min, "capture_30_month_mean": max, "profit": max}
"""Metrics of a recipe, and whether the highest or the lowest value is the best."""
_LIMITS = f"""\
- **Contacted customers only.** Customers who were never called are not in the data. The card says nothing about
  them, about other products or countries, or about the causal effect of a call.
- **Macro columns must be known when scoring**: {", ".join(f"`{name}`" for name in MACRO_FEATURES[1:])}
  are values of the day of the call. These figures do not cover a list that is scored in advance with guessed values.
- **`campaign`, `contact` and `day_of_week` describe the last call** of the campaign, which has not ended when a
  list is made. Before the first call, use the planned values.
- **Rates change several-fold within two years**: the figures describe the months above, and future months may differ by
  more than any interval here.
- `{LEAKAGE_COLUMN}` is known only after the call and was never used.
- Age and marital status are inputs: check the applicable law before use."""
_NOT_FOR = """\
- **Not for credit decisions**, nor for any other decision about a customer than whom to call first: not for prices,
  eligibility or service levels.
- Not without human oversight: monitoring assesses each month, and somebody must act on its verdicts."""
_WITHDRAWN = """\
- Monitoring finds *decay* in a month and a refreshed model is clearly better, or the model is older than the settings
  allow: a new champion replaces it.
- Over half a year of labelled months, the calls that it chose earned no more than as many random calls.
- The data of a month that it was trained on turns out to be broken, or its source may no longer be used.
- The owner of the campaign considers a difference marked above unfair or unlawful.
- Its files or its probabilities differ from those that training recorded: services then refuse it automatically.

To withdraw it, run `deposit rollback`, or `deposit release <model id>` for another version."""


@dataclass(frozen=True)
class CardSection:
    """A section with its heading; `charts` are SVG."""

    markdown: str
    charts: tuple[str, ...] = ()


def sections(card: ModelCard) -> tuple[CardSection, ...]:
    """Sections of the card, in reading order."""
    figures = card.figures
    return (
        CardSection(_head(card)),
        CardSection(_data(figures)),
        CardSection(_expectation(figures)),
        CardSection(_months(figures), card_charts.months(figures.curve)),
        CardSection(_calibration(figures), (card_charts.calibration(figures.calibration),)),
        CardSection(_slices(figures), (card_charts.slices(figures.slices),)),
        CardSection(_contributions(figures), (card_charts.bars(figures.contributions),)),
        CardSection(_members(figures)),
        CardSection(_history(card)),
        CardSection(f"## Known limits\n\n{_LIMITS}"),
        CardSection(f"## Not for\n\n{_NOT_FOR}"),
        CardSection(f"## When to withdraw it\n\n{_WITHDRAWN}"),
    )


def to_markdown(card: ModelCard) -> str:
    """The whole card as Markdown."""
    return "\n\n".join(section.markdown for section in sections(card)) + "\n"


def title(card: ModelCard) -> str:
    """Title of the card, in plain text."""
    return f"Model card: {card.model_id or card.figures.name}"


def escape(text: str) -> str:
    """Escape text so that Markdown shows it literally, on one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def _head(card: ModelCard) -> str:
    why = f"\n\nReleased because: {escape(card.why)}." if card.why else ""
    return (
        f"# {escape(title(card))}\n\nPredicts the probability that a customer subscribes to a term deposit when "
        f"called, to rank customers for a campaign.{why}"
    )


def _data(figures: CardFigures) -> str:
    metadata = figures.metadata
    excluded = ", ".join(metadata.excluded_periods) or "none"
    return "\n".join(
        (
            "## Trained on\n",
            f"- Dataset version `{metadata.dataset}`: {metadata.development_rows:,} calls from {metadata.train_start} "
            f"to {metadata.train_end}, of which {metadata.development_rate:.1%} ended in a subscription.",
            f"- Months excluded because of broken data: {excluded}.",
            f"- Columns: {', '.join(f'`{name}`' for name in figures.columns)}.",
            f"- Code `{metadata.revision}`, uv.lock sha256 `{metadata.lock_sha256}`, trained {metadata.created} (UTC).",
        )
    )


def _expectation(figures: CardFigures) -> str:
    metadata = figures.metadata
    rows = [
        (label, shown(metric.value), _range(metric.low, metric.high), _range(metric.month_low, metric.month_high))
        for name, label in LABELS.items()
        if (metric := figures.metrics.get(name))
    ]
    return (
        f"## Expected performance: {metadata.test_start} to {metadata.test_end}, month by month\n\n"
        "Each month is scored out of time: members, weights and threshold come from the labelled months before it. The "
        "deployed model is fitted on every labelled month, including these. Profits are at "
        f"{figures.deposit_value:g} per subscription and {figures.call_cost:g} per call.\n\n"
        + _table(("Metric", "Value", "95 %, calls resampled", "95 %, months resampled"), rows)
        + "\n\nThe first interval resamples the calls of each month, the second whole months. The choice of months "
        "matters more: the subscription rate and the ranking of customers change from month to month."
    )


def _months(figures: CardFigures) -> str:
    rows = [
        (
            each.period,
            shown(each.rows),
            f"{each.rate:.1%}",
            *(shown(value) for value in (each.roc_auc, each.log_loss, each.profit, each.profit_call_everyone)),
        )
        for each in figures.curve
    ]
    head = ("Month", "Calls", "Rate", "ROC AUC", "Log loss", "Profit", "Calling everyone")
    return f"## By month\n\n{_table(head, rows)}"


def _calibration(figures: CardFigures) -> str:
    rows = [(f"{each.predicted:.1%}", f"{each.observed:.1%}", shown(each.rows)) for each in figures.calibration]
    return (
        "## Calibration\n\nThe same months by tenths of probability; the chart omits tenths with few calls.\n\n"
        + _table(("Mean probability", "Subscription rate", "Calls"), rows)
    )


def _slices(figures: CardFigures) -> str:
    slices = figures.slices
    flagged = [each for each in slices.groups if any(getattr(each, name).flagged for name in METRICS)]
    summary = (
        f"{len(flagged)} of {len(slices.groups)} groups have such a difference."
        if flagged
        else f"None of {len(slices.groups)} groups has such a difference."
    )
    small = "; ".join(f"{count} of {column}" for column, count in slices.suppressed.items())
    return (
        "## Slices\n\nThe same predictions by customer group. ROC AUC is over pairs of calls of the same month, the "
        "calibration gap is mean probability minus subscription rate, and the call rate is the share of customers that "
        "it pays to call; intervals (95 %) resample the calls of each month. "
        f"{_FLAG} marks a significant difference from all calls, by Holm's test over the whole card at 5 %. {summary} "
        "Call rates are not tested, since they follow the probabilities; precision follows the subscription rate.\n\n"
        + _table(
            ("Column", "Group", "Calls", "ROC AUC", "Calibration gap", "Call rate", "Precision among called"),
            (_slice_row(each) for each in (slices.overall, *slices.groups)),
            left={0, 1},
        )
        + f"\n\nGroups with fewer than {LEAST_ROWS} calls are not shown: {escape(small) or 'none'}."
    )


def _slice_row(each: Slice) -> Sequence[str]:
    return (escape(each.column), escape(each.group), shown(each.rows), *(_estimate(getattr(each, n)) for n in METRICS))


def _estimate(estimate: Estimate) -> str:
    text = f"{shown(estimate.value)} ({_range(estimate.low, estimate.high)})"
    return f"**{text} {_FLAG}**" if estimate.flagged else text


def _contributions(figures: CardFigures) -> str:
    rows = [(f"`{name}`", shown(size)) for name, size in figures.contributions.items()]
    return (
        "## Feature importance\n\nMean absolute contribution of each column to the log-odds (SHAP) over a sample of "
        "calls; members are weighted. It shows what the model uses, not what causes a subscription.\n\n"
        + _table(("Column", "Mean absolute contribution, log-odds"), rows)
    )


def _members(figures: CardFigures) -> str:
    names = ("roc_auc_month_mean", "log_loss", "profit")
    members = [
        (escape(each.name), f"{each.weight:.3f}", *(shown(each.metrics.get(name)) for name in names))
        for each in figures.members
    ]
    regrets = []
    for name, best in _REGRET.items():
        known = {each.name: value for each in figures.members if (value := each.metrics.get(name)) is not None}
        own = metric.value if (metric := figures.metrics.get(name)) else None
        if known and own is not None:
            recipe = best(known, key=known.__getitem__)
            regret = known[recipe] - own if best is max else own - known[recipe]
            regrets.append((LABELS[name], shown(own), shown(known[recipe]), escape(recipe), shown(regret)))
    return (
        "## Members\n\nTheir log-odds are summed, with weights that follow each member's log loss month by month.\n\n"
        + _table(("Member", "Weight", *(LABELS[name] for name in names)), members)
        + "\n\n### Regret\n\nThe model next to the best single recipe, which is only known in hindsight. "
        "A negative regret means that the model was better than every single recipe.\n\n"
        + _table(("Metric", "Model", "Best recipe", "Which", "Regret"), regrets, left={0, 3})
    )


def _history(card: ModelCard) -> str:
    if not card.model_id:
        return "## History\n\nEarlier models are added when this model is first released."
    rows = [
        (
            escape(each.model_id),
            str(each.months),
            f"{each.first} to {each.last}" if each.months else "-",
            shown(each.predictions),
            shown(each.roc_auc),
            escape(each.why) or "-",
        )
        for each in card.history
    ]
    if not rows:
        return f"## History\n\nNo model served before {escape(card.model_id)}."
    head = ("Model", "Months served", "Period", "Predictions", "ROC AUC, mean of the months", "Why it went live")
    return (
        f"## History\n\nThe models that served before {escape(card.model_id)}, as of its first release: their "
        "monitored months and results.\n\n" + _table(head, rows, left={0, 2, 5})
    )


def _range(low: float | None, high: float | None) -> str:
    return f"{shown(low)} to {shown(high)}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], left: Container[int] = (0,)) -> str:
    """A table; the columns that are not `left` hold numbers and are right-aligned."""
    rule = tuple("---" if place in left else "---:" for place in range(len(head)))
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rule, *rows))
