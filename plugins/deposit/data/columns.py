"""The dataset's columns: the one description that contract, encoder, service and docs are made from."""

from dataclasses import dataclass

SCHEMA_VERSION = 1
TARGET = "y"
LEAKAGE_COLUMN = "duration"
"""Known only after the call: refused in training and in serving."""

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


@dataclass(frozen=True)
class Category:
    """A column with a closed list of values."""

    name: str
    allowed: tuple[str, ...]
    meaning: str


@dataclass(frozen=True)
class Number:
    """A column with a closed range; whole numbers only if `integer`."""

    name: str
    low: float
    high: float
    integer: bool
    meaning: str


_YES_NO = ("no", "yes", "unknown")

FEATURES: tuple[Category | Number, ...] = (
    Number("age", 17, 110, True, "age in years"),
    Category(
        "job",
        ("admin.", "blue-collar", "entrepreneur", "housemaid", "management", "retired", "self-employed",
         "services", "student", "technician", "unemployed", "unknown"),
        "kind of job",
    ),
    Category("marital", ("divorced", "married", "single", "unknown"), "marital status"),
    Category(
        "education",
        ("basic.4y", "basic.6y", "basic.9y", "high.school", "illiterate", "professional.course",
         "university.degree", "unknown"),
        "highest education",
    ),
    Category("default", _YES_NO, "has credit in default"),
    Category("housing", _YES_NO, "has a housing loan"),
    Category("loan", _YES_NO, "has a personal loan"),
    Category("contact", ("cellular", "telephone"), "kind of phone"),
    Category("month", MONTHS, "month of the call"),
    Category("day_of_week", ("mon", "tue", "wed", "thu", "fri"), "day of the call"),
    Number("campaign", 1, 100, True, "contacts in this campaign, this one included"),
    Number("pdays", 0, 999, True, "days since the last contact of an earlier campaign; 999 means none"),
    Number("previous", 0, 100, True, "contacts before this campaign"),
    Category("poutcome", ("failure", "nonexistent", "success"), "outcome of the earlier campaign"),
    Number("emp.var.rate", -10, 10, False, "employment variation rate, quarterly"),
    Number("cons.price.idx", 50, 200, False, "consumer price index, monthly"),
    Number("cons.conf.idx", -100, 100, False, "consumer confidence index, monthly"),
    Number("euribor3m", -5, 20, False, "three-month Euribor rate, daily"),
    Number("nr.employed", 1000, 20000, False, "number employed in thousands, quarterly"),
)  # fmt: skip

NAMES: tuple[str, ...] = tuple(column.name for column in FEATURES)
