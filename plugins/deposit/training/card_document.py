"""The model card as sections of Markdown, each with the charts that the page adds. Pure.

One text for both forms: Markdown is these sections one after the other, the page is made of the same.
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
"""Measures of a recipe, and which end of them is the best."""
_LIMITS = f"""\
- **Contacted customers only.** Who was never called is not in the data. The card says nothing of them, of other
  products or countries, or of what a call causes.
- **Macro columns must be known when scoring**: {", ".join(f"`{name}`" for name in MACRO_FEATURES[1:])}
  are values of the day of the call. A list that is scored ahead with a guess of them is not covered by these figures.
- **`campaign`, `contact` and `day_of_week` belong to the last call** of the campaign, which is not over when a list is
  made. Before the first call they are what is planned.
- **Rates change several-fold within two years**: the figures are of the months above, and months to come may differ by
  more than any interval here.
- `{LEAKAGE_COLUMN}` is known only after the call and was never used.
- Age and marital status are inputs: check the law that applies before use."""
_NOT_FOR = """\
- **Not for credit decisions**, nor for any other decision about a customer than whom to call first: no price, no
  eligibility, no service level.
- Not without a person who watches it: monitoring assesses each month, and its verdicts need an owner."""
_WITHDRAWN = """\
- Monitoring assesses a month as *decay* and a refreshed model is clearly better, or the model is older than its
  settings allow: a successor takes over.
- Its choice of customers earned no more than as many calls at random over half a year of labelled months.
- A month that it learned from turns out to be broken, or its source may no longer be used.
- A gap marked above is judged unfair or unlawful by whoever answers for the campaign.
- Its files or its probabilities are not what training recorded: services refuse it by themselves.

To withdraw it, run `deposit rollback`, or `deposit release <model id>` for another version."""


@dataclass(frozen=True)
class CardSection:
    """A heading with what stands below it; `charts` are SVG."""

    markdown: str
    charts: tuple[str, ...] = ()


def sections(card: ModelCard) -> tuple[CardSection, ...]:
    """The card's parts in reading order."""
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
        CardSection(f"## What would make it be withdrawn\n\n{_WITHDRAWN}"),
    )


def to_markdown(card: ModelCard) -> str:
    """The whole card as Markdown."""
    return "\n\n".join(section.markdown for section in sections(card)) + "\n"


def title(card: ModelCard) -> str:
    """What the card is of, in plain text."""
    return f"Model card: {card.model_id or card.figures.name}"


def escape(text: str) -> str:
    """Text as Markdown that shows it as it is, in one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def _head(card: ModelCard) -> str:
    why = f"\n\nReleased because: {escape(card.why)}." if card.why else ""
    return (
        f"# {escape(title(card))}\n\nGives the probability that a customer subscribes to a term deposit when called, "
        f"to rank whom to call.{why}"
    )


def _data(figures: CardFigures) -> str:
    metadata = figures.metadata
    excluded = ", ".join(metadata.excluded_periods) or "none"
    return "\n".join(
        (
            "## Trained on\n",
            f"- Dataset version `{metadata.dataset}`: {metadata.development_rows:,} calls from {metadata.train_start} "
            f"to {metadata.train_end}, of which {metadata.development_rate:.1%} ended in a subscription.",
            f"- Months left out because their data is broken: {excluded}.",
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
        f"## What may be expected: {metadata.test_start} to {metadata.test_end}, month by month\n\n"
        "Each month as it would have been answered: members, weights and threshold from the labelled months before it. "
        "What is served is fitted on every labelled month, these included. Profits are at "
        f"{figures.deposit_value:g} a subscription and {figures.call_cost:g} a call.\n\n"
        + _table(("Metric", "Value", "95 %, calls resampled", "95 %, months resampled"), rows)
        + "\n\nIntervals by calls resample the calls of each month, those by months the months. Which months come "
        "matters more: the rate of subscriptions and the order of customers change from month to month."
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
        "## Calibration\n\nOf the same months, by tenths of probability; the chart leaves out tenths of few calls.\n\n"
        + _table(("Mean probability", "Share that subscribed", "Calls"), rows)
    )


def _slices(figures: CardFigures) -> str:
    slices = figures.slices
    flagged = [each for each in slices.groups if any(getattr(each, name).flagged for name in METRICS)]
    summary = (
        f"{len(flagged)} of {len(slices.groups)} groups have such a gap."
        if flagged
        else f"None of {len(slices.groups)} groups has such a gap."
    )
    small = "; ".join(f"{count} of {column}" for column, count in slices.suppressed.items())
    return (
        "## Slices\n\nThe same predictions by groups of customers. ROC AUC is over pairs of calls of one month, the "
        "calibration gap is mean probability less share that subscribed, and the call rate is the share that it pays "
        "to call; intervals (95 %) resample the calls of each month. "
        f"{_FLAG} marks what differs from all calls beyond noise: by Holm's test over all marks of this card, at 5 %. "
        f"{summary} Call rates are not tested, since they follow the probabilities; precision follows the rate.\n\n"
        + _table(
            ("Column", "Group", "Calls", "ROC AUC", "Calibration gap", "Call rate", "Precision among called"),
            (_sliced(each) for each in (slices.overall, *slices.groups)),
            left={0, 1},
        )
        + f"\n\nGroups with fewer than {LEAST_ROWS} calls are not shown: {escape(small) or 'there is none'}."
    )


def _sliced(each: Slice) -> Sequence[str]:
    return (escape(each.column), escape(each.group), shown(each.rows), *(_estimate(getattr(each, n)) for n in METRICS))


def _estimate(estimate: Estimate) -> str:
    text = f"{shown(estimate.value)} ({_range(estimate.low, estimate.high)})"
    return f"**{text} {_FLAG}**" if estimate.flagged else text


def _contributions(figures: CardFigures) -> str:
    rows = [(f"`{name}`", shown(size)) for name, size in figures.contributions.items()]
    return (
        "## What moves it\n\nMean size of each column's contribution to the log-odds (SHAP) over a sample of calls; "
        "the members' contributions add up by their weights. They say what the model uses, not what causes a yes.\n\n"
        + _table(("Column", "Mean size in log-odds"), rows)
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
        "## Members\n\nTheir log-odds are added by weights that follow each member's log loss month by month.\n\n"
        + _table(("Member", "Weight", *(LABELS[name] for name in names)), members)
        + "\n\n### Regret\n\nWhat the best single recipe would have done, had it been known which one it is; "
        "nobody can choose it then. A negative regret: the model was better than every one of them.\n\n"
        + _table(("Metric", "Model", "Best recipe", "Which", "Regret"), regrets, left={0, 3})
    )


def _history(card: ModelCard) -> str:
    if not card.model_id:
        return "## History\n\nThe models that served before are added when this one is released for the first time."
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
    head = ("Model", "Months served", "Which", "Predictions", "ROC AUC, mean of the months", "Why it went live")
    return (
        f"## History\n\nThe models that served before {escape(card.model_id)}, as it was when it was released for the "
        "first time: months that were monitored, and what the models did in them.\n\n"
        + _table(head, rows, left={0, 2, 5})
    )


def _range(low: float | None, high: float | None) -> str:
    return f"{shown(low)} to {shown(high)}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], left: Container[int] = (0,)) -> str:
    """A table; the columns that are not `left` are numbers, which stand at the right."""
    rule = tuple("---" if place in left else "---:" for place in range(len(head)))
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rule, *rows))
