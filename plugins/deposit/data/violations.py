"""Rules on the rows and months of an ingest, and their violations, each with its location and message.

A row's violation is quarantined with the row. A month's violation concerns the whole file; its rule may be accepted.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from deposit.data.columns import FEATURES, TARGET
from deposit.data.tables.formats import cut
from deposit.errors import ContractError
from deposit.sections import Rule

ANSWERS = ("no", "yes")
_SHOWN = 40
_DOMAINS = {
    **{column.name: f"{column.domain} is allowed" for column in FEATURES},
    TARGET: f"{' or '.join(ANSWERS)}, or 1 or 0, is allowed",
    "id": "a whole number from 0 on is allowed, each once",
    "date": "a date as YYYY-MM-DD is allowed, in the month of the columns `month` and, if there is one, `period`",
    "period": "a month as YYYY-MM is allowed, the same as in the column `month`",
}
"""Allowed values of each source column, for messages."""


class RowRule(StrEnum):
    """Rules that the contract applies to each row; their names are stored in the table `rejects`."""

    FIELDS = "fields"
    """The row has as many fields as the header."""
    DOMAIN = "domain"
    """Each column holds an allowed value."""
    MONTH = "month"
    """The row's own date or period agrees with the column `month`."""
    UNIQUE = "unique"
    """No row above has the same id."""
    UNKNOWN = "unknown"
    """Rows that were recorded before rules were."""


@dataclass(frozen=True, slots=True)
class WrongCell:
    """A cell that breaks a rule; `value` is its original text."""

    line: int
    rule: RowRule
    column: str
    value: str

    def __str__(self) -> str:
        return f"{self.column} is {quote(self.value) if self.value else 'empty'}: {_DOMAINS[self.column]}"


@dataclass(frozen=True, slots=True)
class WrongShape:
    """A row whose number of fields differs from the header's."""

    rule: ClassVar[RowRule] = RowRule.FIELDS
    column: ClassVar[str] = ""
    line: int
    fields: int
    expected: int
    separator: str

    def __str__(self) -> str:
        sign = "tabs" if self.separator == "\t" else f"`{self.separator}`"
        return f"{self.fields} fields: {self.expected} separated by {sign} are expected"


RowViolation = WrongCell | WrongShape


def reasons(violations: Iterable[RowViolation]) -> dict[int, str]:
    """Describe in one line why each row was rejected, by line and in file order.

    >>> reasons([WrongCell(7, RowRule.DOMAIN, "contact", "fax"), WrongCell(7, RowRule.DOMAIN, "y", "")])
    {7: "contact is 'fax': one of cellular, telephone is allowed; y is empty: no or yes, or 1 or 0, is allowed"}
    """
    texts: dict[int, list[str]] = {}
    for violation in violations:
        texts.setdefault(violation.line, []).append(str(violation))
    return {line: "; ".join(texts[line]) for line in sorted(texts)}


def quote(value: str) -> str:
    """Format a value for a message: quoted, on one line, truncated if long."""
    return repr(cut(value, _SHOWN))


@dataclass(frozen=True)
class SharedFigures:
    """Two periods of the file with the same macro figures; `line` is the first line of the later period."""

    rule: ClassVar[Rule] = Rule.MACRO
    line: int
    period: str
    earlier: str
    price: float
    confidence: float

    def __str__(self) -> str:
        return (
            f"line {self.line}: {self.period} has the price and confidence index of {self.earlier} "
            f"({self.price:g}, {self.confidence:g}), so one month is dated as two"
        )


@dataclass(frozen=True)
class KnownFigures:
    """A period whose macro figures belong to another period of the public data set."""

    rule: ClassVar[Rule] = Rule.MACRO
    line: int
    period: str
    known: str
    price: float
    confidence: float

    def __str__(self) -> str:
        return (
            f"line {self.line}: {self.period} has the price and confidence index of {self.known} in the public data "
            f"set ({self.price:g}, {self.confidence:g})"
        )


@dataclass(frozen=True)
class MixedFigures:
    """A period with several sets of macro figures; `share` of its rows, `line` first, do not have the usual set."""

    rule: ClassVar[Rule] = Rule.MACRO
    line: int
    period: str
    share: float

    def __str__(self) -> str:
        return (
            f"line {self.line}: {self.share:.1%} of {self.period} has another price or confidence index than the "
            "rest of it, so several months are dated as one"
        )


@dataclass(frozen=True)
class RepeatedBlock:
    """Consecutive rows that repeat earlier rows in the same order; `rows` counts those of all such blocks."""

    rule: ClassVar[Rule] = Rule.REPEATED
    line: int
    earlier: int
    rows: int

    def __str__(self) -> str:
        return (
            f"the rows from line {self.line} on repeat those from line {self.earlier} on, and {self.rows} rows in the "
            "file repeat others in such blocks"
        )


@dataclass(frozen=True)
class RepeatedRows:
    """A period in which many rows repeat other rows of it; `line` is the first repeated row."""

    rule: ClassVar[Rule] = Rule.REPEATED
    line: int
    period: str
    rows: int
    of: int

    def __str__(self) -> str:
        return f"line {self.line}: {self.rows} of the {self.of} rows of {self.period} repeat others of that month"


@dataclass(frozen=True)
class FuturePeriod:
    """A period after the current month."""

    rule: ClassVar[Rule] = Rule.FUTURE
    line: int
    period: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.period} is in the future"


@dataclass(frozen=True)
class Gap:
    """More missing months between two successive periods than are plausible."""

    rule: ClassVar[Rule] = Rule.GAPS
    line: int
    period: str
    before: str
    missing: int

    def __str__(self) -> str:
        return f"line {self.line}: {self.period} follows {self.before}, {self.missing} months are missing"


Violation = SharedFigures | KnownFigures | MixedFigures | RepeatedBlock | RepeatedRows | FuturePeriod | Gap


def summary(violations: Sequence[Violation]) -> str:
    """Describe violations in one line: the first of each kind with its rule, and the number of further ones."""
    kinds: dict[type[Violation], list[Violation]] = {}
    for violation in violations:
        kinds.setdefault(type(violation), []).append(violation)
    return "; ".join(f"{same[0].rule}: {same[0]}{_more(len(same) - 1)}" for same in kinds.values())


def refusal(violations: Sequence[Violation]) -> ContractError:
    """Build the error for violations that were not accepted, with what to do about them."""
    rules = dict.fromkeys(violation.rule for violation in violations)
    options = " ".join(f"--accept {rule}" for rule in rules)
    return ContractError(
        f"the months are implausible, nothing was published: correct the file, or accept them if they are right: "
        f"{options}",
        [f"{violation.rule}: {violation}" for violation in violations],
    )


def _more(count: int) -> str:
    return f" (and {count} more)" if count else ""
