"""What may be wrong with the rows and the months of an ingest: each violation of a rule, with its place and its words.

A row's violation is quarantined with the row; a month's is of the whole file, and may be accepted by its rule.
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
"""What a column of a source may hold, in words."""


class RowRule(StrEnum):
    """What the contract asks of each row; the names stand in the table `rejects`."""

    FIELDS = "fields"
    """As many fields as the header has."""
    DOMAIN = "domain"
    """A value that its column allows."""
    MONTH = "month"
    """A date or period of its own that agrees with the column `month`."""
    UNIQUE = "unique"
    """An id that no row above has."""
    UNKNOWN = "unknown"
    """Of rows that were recorded before their rules were."""


@dataclass(frozen=True, slots=True)
class WrongCell:
    """A cell that breaks a rule; `value` is its text as it came."""

    line: int
    rule: RowRule
    column: str
    value: str

    def __str__(self) -> str:
        return f"{self.column} is {quote(self.value) if self.value else 'empty'}: {_DOMAINS[self.column]}"


@dataclass(frozen=True, slots=True)
class WrongShape:
    """A row that has another number of fields than the header."""

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
    """Why each row was rejected, in one line of text, by its line and in the file's order.

    >>> reasons([WrongCell(7, RowRule.DOMAIN, "contact", "fax"), WrongCell(7, RowRule.DOMAIN, "y", "")])
    {7: "contact is 'fax': one of cellular, telephone is allowed; y is empty: no or yes, or 1 or 0, is allowed"}
    """
    texts: dict[int, list[str]] = {}
    for violation in violations:
        texts.setdefault(violation.line, []).append(str(violation))
    return {line: "; ".join(texts[line]) for line in sorted(texts)}


def quote(value: str) -> str:
    """A value as it appears in a message: quoted, on one line, cut when long."""
    return repr(cut(value, _SHOWN))


@dataclass(frozen=True)
class SharedFigures:
    """Two periods of the file with the same macro figures; `line` is the later one's first."""

    rule: ClassVar[Rule] = Rule.MACRO
    line: int
    period: str
    earlier: str
    price: float
    confidence: float

    def __str__(self) -> str:
        return (
            f"line {self.line}: {self.period} has the price and confidence index of {self.earlier} "
            f"({self.price:g}, {self.confidence:g}), so that one month is dated as two"
        )


@dataclass(frozen=True)
class KnownFigures:
    """A period with the macro figures that the public data set has in another one."""

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
    """A period with several sets of macro figures; `line` is the first that differs from most, `share` of them do."""

    rule: ClassVar[Rule] = Rule.MACRO
    line: int
    period: str
    share: float

    def __str__(self) -> str:
        return (
            f"line {self.line}: {self.share:.1%} of {self.period} have another price or confidence index than the "
            "rest of it, so that several months are dated as one"
        )


@dataclass(frozen=True)
class RepeatedBlock:
    """Consecutive rows that stand, in the same order, further up; `rows` are all that do so in the file."""

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
    """A period of which many rows stand further up in it; `line` is the first that does."""

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
        return f"line {self.line}: {self.period} is still to come"


@dataclass(frozen=True)
class Gap:
    """More months missing between two successive periods than a calendar has without calls."""

    rule: ClassVar[Rule] = Rule.GAPS
    line: int
    period: str
    before: str
    missing: int

    def __str__(self) -> str:
        return f"line {self.line}: {self.period} follows {self.before}, {self.missing} months are missing"


Violation = SharedFigures | KnownFigures | MixedFigures | RepeatedBlock | RepeatedRows | FuturePeriod | Gap


def summary(violations: Sequence[Violation]) -> str:
    """The violations in one line: of each kind the first, by its rule's name, and how many more there are."""
    kinds: dict[type[Violation], list[Violation]] = {}
    for violation in violations:
        kinds.setdefault(type(violation), []).append(violation)
    return "; ".join(f"{same[0].rule}: {same[0]}{_more(len(same) - 1)}" for same in kinds.values())


def refusal(violations: Sequence[Violation]) -> ContractError:
    """The violations, with what to do about them."""
    rules = dict.fromkeys(violation.rule for violation in violations)
    options = " ".join(f"--accept {rule}" for rule in rules)
    return ContractError(
        f"the months cannot be right, nothing was published: correct the file, or accept by name what is right: "
        f"{options}",
        [f"{violation.rule}: {violation}" for violation in violations],
    )


def _more(count: int) -> str:
    return f" (and {count} more)" if count else ""
