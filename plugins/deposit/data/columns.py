"""The dataset's columns: the single definition from which contract, encoder, service and docs are made.

Imports no data library at module level, to keep the service light.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from deposit.data.tables.cells import bare, number, plain

if TYPE_CHECKING:
    import pandera.pandas as pa

SCHEMA_VERSION = 1
TARGET = "y"
LEAKAGE_COLUMN = "duration"
"""Known only after the call: refused in training and in serving."""

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


_LONG = {
    "january": "jan", "february": "feb", "march": "mar", "april": "apr", "june": "jun", "july": "jul", "august": "aug",
    "sept": "sep", "september": "sep", "october": "oct", "november": "nov", "december": "dec", "monday": "mon",
    "tues": "tue", "tuesday": "tue", "wednesday": "wed", "thur": "thu", "thurs": "thu", "thursday": "thu",
    "friday": "fri", "y": "yes", "true": "yes", "n": "no", "false": "no",
}  # fmt: skip
"""Alternative spellings of values. No numbers: another program may number months or yes and no differently."""

_DATE = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])(-[0-3][0-9]([ T].*)?)?")
"""A date as a workbook stores it in a cell that displays a month."""


@lru_cache
def _spellings(allowed: tuple[str, ...]) -> dict[str, str]:
    """Map each spelling, normalised by `plain`, to its allowed value."""
    return {long: value for long, value in _LONG.items() if value in allowed} | {
        plain(value): value for value in allowed
    }


class _Named:
    name: str

    @property
    def sql_name(self) -> str:
        """Name without dots, for SQL columns and Python attributes."""
        return self.name.replace(".", "_")


@dataclass(frozen=True)
class Category(_Named):
    """A column with a closed list of values; `example` is the value that the docs show."""

    name: str
    allowed: tuple[str, ...]
    meaning: str
    example: str

    @property
    def kind(self) -> type:
        """Python type of the values."""
        return str

    @property
    def domain(self) -> str:
        """Description of the allowed values.

        >>> Category("contact", ("cellular", "telephone"), "kind of phone", "cellular").domain
        'one of cellular, telephone'
        """
        return f"one of {', '.join(self.allowed)}"

    def parse(self, text: str, decimal_comma: bool) -> str:  # noqa: ARG002
        """Return the allowed value that a cell spells, or the cell's text if there is none.

        >>> Category("loan", ("no", "yes", "unknown"), "has a loan", "no").parse(" TRUE", decimal_comma=False)
        'yes'
        """
        value = bare(text)
        if value in self.allowed:
            return value
        date = _DATE.fullmatch(value) if self.allowed == MONTHS else None
        return MONTHS[int(date[1]) - 1] if date else _spellings(self.allowed).get(plain(value), value)

    def contains(self, value: Any) -> bool:
        """Whether a value, of any type, is allowed."""
        return value in self.allowed

    def feature_names(self) -> tuple[str, ...]:
        """Names of the column's features in the model's matrix: one per value."""
        return tuple(f"{self.name}={value}" for value in self.allowed)

    def json_type(self) -> Any:
        """Type with which msgspec validates the column in a request body."""
        return Literal[self.allowed]

    def json_schema(self) -> dict[str, Any]:
        """JSON Schema of the column."""
        return {"type": "string", "enum": list(self.allowed), "description": self.meaning}

    def pandera_column(self) -> "pa.Column":
        """Pandera check of the column in a frame of parsed cells."""
        import pandera.pandas as pa

        return pa.Column(checks=pa.Check.isin(self.allowed))


@dataclass(frozen=True)
class Number(_Named):
    """A column with a closed range, of whole numbers if `integer`; `example` is the value that the docs show."""

    name: str
    low: float
    high: float
    integer: bool
    meaning: str
    example: float

    @property
    def kind(self) -> type:
        """Python type of the values."""
        return int if self.integer else float

    @property
    def domain(self) -> str:
        """Description of the allowed values.

        >>> Number("age", 17, 110, True, "age in years", 41).domain
        'a whole number from 17 to 110'
        """
        return f"a {'whole ' if self.integer else ''}number from {self.low:g} to {self.high:g}"

    def parse(self, text: str, decimal_comma: bool) -> float | None:
        """Return the number in a cell, allowed or not; None if the cell holds no number.

        >>> Number("euribor3m", -5, 20, False, "three-month Euribor rate", 1.3).parse(" 4,857 ", decimal_comma=True)
        4.857
        """
        return number(bare(text), decimal_comma)

    def contains(self, value: Any) -> bool:
        """Whether a value, of any type, is allowed. NaN, infinities and booleans are not.

        >>> age = Number("age", 17, 110, True, "age in years", 41)
        >>> age.contains(41.0), age.contains(41.5), age.contains("41")
        (True, False, False)
        """
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        if self.integer and isinstance(value, float) and not value.is_integer():
            return False
        return bool(self.low <= value <= self.high)

    def feature_names(self) -> tuple[str, ...]:
        """Names of the column's features in the model's matrix: its own name."""
        return (self.name,)

    def json_type(self) -> Any:
        """Type with which msgspec validates the column in a request body."""
        low, high = float(self.low), float(self.high)
        if not self.integer:
            return Annotated[float, msgspec.Meta(ge=low, le=high)]
        # 41.0 and 4.1e1 are whole numbers too; the union costs nothing when a request has 41
        plain = Annotated[int, msgspec.Meta(ge=int(low), le=int(high))]
        return plain | Annotated[float, msgspec.Meta(ge=low, le=high, multiple_of=1)]

    def json_schema(self) -> dict[str, Any]:
        """JSON Schema of the column; to JSON Schema, 41.0 is an integer too."""
        kind = "integer" if self.integer else "number"
        return {"type": kind, "minimum": self.low, "maximum": self.high, "description": self.meaning}

    def pandera_column(self) -> "pa.Column":
        """Pandera check of the column in a frame of parsed cells, where NaN stands for a cell without a number."""
        import pandera.pandas as pa

        checks = [pa.Check.in_range(self.low, self.high)]
        if self.integer:
            checks.append(pa.Check(lambda values: values % 1 == 0, name="whole"))
        return pa.Column(float, checks=checks)


_YES_NO = ("no", "yes", "unknown")

FEATURES: tuple[Category | Number, ...] = (
    Number("age", 17, 110, True, "age in years", 41),
    Category(
        "job",
        ("admin.", "blue-collar", "entrepreneur", "housemaid", "management", "retired", "self-employed",
         "services", "student", "technician", "unemployed", "unknown"),
        "kind of job",
        "technician",
    ),
    Category("marital", ("divorced", "married", "single", "unknown"), "marital status", "married"),
    Category(
        "education",
        ("basic.4y", "basic.6y", "basic.9y", "high.school", "illiterate", "professional.course",
         "university.degree", "unknown"),
        "highest education",
        "university.degree",
    ),
    Category("default", _YES_NO, "has credit in default", "no"),
    Category("housing", _YES_NO, "has a housing loan", "yes"),
    Category("loan", _YES_NO, "has a personal loan", "no"),
    Category("contact", ("cellular", "telephone"), "kind of phone", "cellular"),
    Category("month", MONTHS, "month of the call", "may"),
    Category("day_of_week", ("mon", "tue", "wed", "thu", "fri"), "day of the call", "mon"),
    Number("campaign", 1, 100, True, "contacts in this campaign, this one included", 1),
    Number("pdays", 0, 999, True, "days since the last contact of an earlier campaign; 999 means none", 999),
    Number("previous", 0, 100, True, "contacts before this campaign", 0),
    Category("poutcome", ("failure", "nonexistent", "success"), "outcome of the earlier campaign", "nonexistent"),
    Number("emp.var.rate", -10, 10, False, "employment variation rate, quarterly", -1.8),
    Number("cons.price.idx", 50, 200, False, "consumer price index, monthly", 92.893),
    Number("cons.conf.idx", -100, 100, False, "consumer confidence index, monthly", -46.2),
    Number("euribor3m", -5, 20, False, "three-month Euribor rate, daily", 1.299),
    Number("nr.employed", 1000, 20000, False, "number employed in thousands, quarterly", 5099.1),
)  # fmt: skip

NAMES: tuple[str, ...] = tuple(column.name for column in FEATURES)
CATEGORIES: dict[str, Category] = {column.name: column for column in FEATURES if isinstance(column, Category)}
NUMBERS: dict[str, Number] = {column.name: column for column in FEATURES if isinstance(column, Number)}


def customer_struct(type_of: Callable[[Category | Number], Any], identity: Any, **options: Any) -> type[Any]:
    """Build a msgspec struct for a customer in a request body: the columns in order, then the optional `id`.

    `type_of` returns a column's type: strict types validate a request, plain types decode it again later.
    """
    return msgspec.defstruct(
        "Customer",
        [*((column.sql_name, type_of(column)) for column in FEATURES), ("id", identity, None)],
        rename={column.sql_name: column.name for column in FEATURES},
        gc=False,
        **options,
    )
