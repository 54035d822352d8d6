"""One cell of a table as a value. Pure."""

import re

_WORDS = {"yes": True, "y": True, "true": True, "no": False, "n": False, "false": False}
_NUMBERS = {1.0: True, 0.0: False}


_INVISIBLE = r"\s\ufeff\u200b-\u200d\u2060"
_AROUND = re.compile(f"^[{_INVISIBLE}]+|[{_INVISIBLE}]+$")
_WITHIN = re.compile(f"""[{_INVISIBLE}_.\\-?:"'\u2018-\u201e\u00ab\u00bb]+""")
_GROUPED = re.compile(
    r"([+-]?[0-9]{1,3}(?:([ \u00a0\u2009\u202f'\u2019.,])[0-9]{3})(?:\2[0-9]{3})*)(?:([.,])([0-9]+))?"
)
"""A number in groups of three digits: what stands between them, the decimal sign, the decimals."""


def bare(text: str) -> str:
    """A cell without blanks and invisible characters around it, like the no-break space and the zero-width one."""
    return _AROUND.sub("", text)


def plain(name: str) -> str:
    """A name as names are compared: no case, blanks, dots, quotes and the like; `emp_var_rate` is `emp.var.rate`."""
    return _WITHIN.sub("", name).lower()


def number(text: str, decimal_comma: bool) -> float | None:
    """A number in ASCII digits, or None; with `decimal_comma`, `4,5` is one as well.

    Groups of three digits count where only one reading is left: `5,099.1`, `5.099,1` and `5 099` are numbers, `5,099`
    and `5.099` have no groups.

    >>> number("5.099,1", decimal_comma=True), number("5,099.1", decimal_comma=False), number("5,099", False)
    (5099.1, 5099.1, None)
    """
    text = text.replace("\u2212", "-")  # the minus sign of typography
    grouped = _GROUPED.fullmatch(text)
    if grouped and grouped[2] != grouped[3] and (grouped[3] or grouped[2] not in ".,"):
        return float(f"{grouped[1].replace(grouped[2], '')}.{grouped[4] or 0}")
    if decimal_comma and text.count(",") == 1 and "." not in text:
        text = text.replace(",", ".")
    if not text.isascii() or "_" in text:  # Python reads 1_000 and digits of other scripts
        return None
    try:
        return float(text)
    except ValueError:
        return None


def yes_or_no(text: str) -> bool | None:
    """yes, y, true or 1, and no, n, false or 0, in any case; None for anything else."""
    word = bare(text).lower()
    value = number(word, decimal_comma=False)
    return _WORDS.get(word) if value is None else _NUMBERS.get(value)
