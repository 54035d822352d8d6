"""Parse single cells of a table. Pure."""

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches

_WORDS = {"yes": True, "y": True, "true": True, "no": False, "n": False, "false": False}
_NUMBERS = {1.0: True, 0.0: False}


_INVISIBLE = r"\s\ufeff\u200b-\u200d\u2060"
_AROUND = re.compile(f"^[{_INVISIBLE}]+|[{_INVISIBLE}]+$")
_TURKISH = str.maketrans("İı", "ii")
"""The Turkish dotted and dotless i: Turkish programs convert `single` to upper case as `SİNGLE`."""
_WITHIN = re.compile(f"""[{_INVISIBLE}_.\\-?:"'\u2018-\u201e\u00ab\u00bb]+""")
_GROUPED = re.compile(
    r"([+-]?[0-9]{1,3}(?:([ \u00a0\u2009\u202f'\u2019.,])[0-9]{3})(?:\2[0-9]{3})*)(?:([.,])([0-9]+))?"
)
"""A number with thousands separators: integer part, separator, decimal sign, decimals."""


_QUOTES = "\"'\u2018-\u201e\u00ab\u00bb"
_QUOTED = re.compile(f"[{_QUOTES}]+([^{_QUOTES}]+)[{_QUOTES}]+|'([^{_QUOTES}]+)")
_WRAPPED = re.compile('="(.*)"', re.DOTALL)
"""`="0041"`, which keeps a spreadsheet from converting the text to a number."""
_NEGATIVE = re.compile(r"\(([0-9][^()+-]*)\)|([0-9][^()+-]*)-")
"""Negative numbers: `(36.4)` in accounting, `36.4-` in SAP."""


def bare(text: str) -> str:
    """Strip whitespace and invisible characters around a cell, such as the no-break space, and unwrap `="..."`."""
    wrapped = _WRAPPED.fullmatch(text := _AROUND.sub("", text))
    return _AROUND.sub("", wrapped[1]) if wrapped else text


def plain(name: str) -> str:
    """Normalise a name for comparison, dropping case, blanks, dots and the like: `emp_var_rate` is `emp.var.rate`."""
    return _WITHIN.sub("", name).translate(_TURKISH).lower()


_ALIKE, _MOST_LETTERS = 0.75, 64


def near(name: str, names: Iterable[str]) -> str | None:
    """Return the name closest to one that may be mistyped, or None if none is close.

    >>> near("Marital ", ["age", "marital"]), near("maritl", ["age", "marital"]), near("salary", ["age", "marital"])
    ('marital', 'marital', None)
    """
    by_plain = {plain(each[:_MOST_LETTERS]): each for each in names}
    matches = get_close_matches(plain(name[:_MOST_LETTERS]), by_plain, 1, _ALIKE)
    return by_plain[matches[0]] if matches else None


def with_near(missing: Iterable[str], names: Sequence[str]) -> list[str]:
    """Missing names, each with the present name that may be a misspelling of it.

    >>> with_near(["marital", "loan"], ["maritl", "note"])
    ["marital (is it 'maritl'?)", 'loan']
    """
    pairs = [(name, near(name, names)) for name in missing]
    return [f"{name} (is it {nearest[:_MOST_LETTERS]!r}?)" if nearest else name for name, nearest in pairs]


def grouped(text: str) -> float | None:
    """Parse a number with thousands separators, if it cannot be read in any other way; None for all other text.

    >>> grouped("5 099"), grouped("5,099"), grouped("5099.1")
    (5099.0, None, None)
    """
    match = _GROUPED.fullmatch(text)
    if match is None or match[2] == match[3] or (not match[3] and match[2] in ".,"):
        return None
    return float(f"{match[1].replace(match[2], '')}.{match[4] or 0}")


def signed(text: str) -> str:
    """Normalise the text of a number: remove quotes around it, and put the minus sign of a negative number in front.

    >>> signed("36,4-"), signed("(1 234.5)"), signed("'41")
    ('-36,4', '-1 234.5', '41')
    """
    text = text.replace("\u2212", "-")  # the typographic minus sign
    quoted = _QUOTED.fullmatch(text)
    text = (quoted[1] or quoted[2]).strip() if quoted else text
    negative = _NEGATIVE.fullmatch(text)
    return f"-{(negative[1] or negative[2]).strip()}" if negative else text


def number(text: str, decimal_comma: bool) -> float | None:
    """Parse a number in ASCII digits; None if the text is no number. With `decimal_comma`, `4,5` is one as well.

    Thousands separators are accepted if they are unambiguous, as in `5,099.1`, `5.099,1` and `5 099`. In `5,099` and
    `5.099` there are none.

    >>> number("5.099,1", decimal_comma=True), number("5,099.1", decimal_comma=False), number("5,099", False)
    (5099.1, 5099.1, None)
    """
    text = signed(text)
    value = grouped(text)
    if value is not None:
        return value
    if decimal_comma and text.count(",") == 1 and "." not in text:
        text = text.replace(",", ".")
    if not text.isascii() or "_" in text:  # float() accepts 1_000 and digits of other scripts
        return None
    try:
        return float(text)
    except ValueError:
        return None


def yes_or_no(text: str) -> bool | None:
    """True for yes, y, true or 1, False for no, n, false or 0, in any case; None for anything else."""
    word = bare(text).lower()
    value = number(word, decimal_comma=False)
    return _WORDS.get(word) if value is None else _NUMBERS.get(value)
