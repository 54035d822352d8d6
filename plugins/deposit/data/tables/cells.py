"""One cell of a table as a value. Pure."""

_WORDS = {"yes": True, "true": True, "no": False, "false": False}
_NUMBERS = {1.0: True, 0.0: False}


def number(text: str, decimal_comma: bool) -> float | None:
    """A plain ASCII number, or None; with `decimal_comma`, `4,5` is one as well."""
    if decimal_comma and text.count(",") == 1 and "." not in text:
        text = text.replace(",", ".")
    if not text.isascii() or "_" in text:  # Python reads 1_000 and digits of other scripts
        return None
    try:
        return float(text)
    except ValueError:
        return None


def yes_or_no(text: str) -> bool | None:
    """yes, true or 1, and no, false or 0, in any case; None for anything else."""
    word = text.strip().lower()
    value = number(word, decimal_comma=False)
    return _WORDS.get(word) if value is None else _NUMBERS.get(value)
