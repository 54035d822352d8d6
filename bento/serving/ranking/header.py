"""The first line of a list: what separates its cells, and where each column is."""

import csv
from collections import Counter
from dataclasses import dataclass

from deposit.data.columns import LEAKED, NAMES
from serving.problems import Problem, RequestError, refuse

ID = "id"
_SEPARATORS = (";", ",", "\t")
_MAX_CELLS = 1000
_LEAK = "known only after the call, so no prediction may use it"


@dataclass(frozen=True)
class Header:
    """How a list is laid out.

    Args:
        separator: `;`, `,` or a tab.
        names: of all columns, as they stand there.
        places: of the columns that are used, by the dataset's name; `id` only if there is one.
    """

    separator: str
    names: tuple[str, ...]
    places: dict[str, int]

    @property
    def decimal_comma(self) -> bool:
        """Whether `4,5` can be a number: not where the comma separates cells."""
        return self.separator != ","

    @property
    def extra(self) -> dict[str, str]:
        """Columns that are not used, with the reason."""
        used = set(self.places.values())
        return {
            name: _LEAK if _plain(name) == LEAKED else "not used"
            for place, name in enumerate(self.names)
            if place not in used
        }


def read_header(line: str) -> Header:
    """The layout that a first line tells. Raises RequestError 422 naming each column that is missing or twice there."""
    separator = max(_SEPARATORS, key=lambda one: len(_places(_cells(line, one))))
    names = _cells(line, separator)
    if len(names) > _MAX_CELLS:
        raise refuse(422, f"the first line has more than {_MAX_CELLS} cells", "file")
    places = _places(names)
    missing = [name for name in NAMES if name not in places]
    if len(missing) == len(NAMES):
        raise refuse(422, f"the first line must name the columns: {', '.join(NAMES)}", "file")
    if missing:
        raise RequestError(422, [Problem(None, name, "the list has no such column") for name in missing])
    twice = [name for name, count in Counter(map(_plain, names)).items() if count > 1 and name in places]
    if twice:
        raise RequestError(422, [Problem(None, name, "the list has this column twice") for name in twice])
    return Header(separator, tuple(names), places)


def _cells(line: str, separator: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=separator), [])
    except csv.Error:  # a cell of more than 128 KiB
        return []


def _places(names: list[str]) -> dict[str, int]:
    """Known columns by their place; `emp_var_rate` means `emp.var.rate`."""
    known = {_plain(name): name for name in (*NAMES, ID)}
    return {known[_plain(name)]: place for place, name in reversed(list(enumerate(names))) if _plain(name) in known}


def _plain(name: str) -> str:
    return name.strip().lower().replace("_", ".").replace("day.of.week", "day_of_week")
