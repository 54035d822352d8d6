"""What a message shows of something long: never more than fits a screen. Pure."""

from collections.abc import Sequence


def cut(text: str, most: int) -> str:
    """A text, or its first letters where it has more than `most`."""
    return text if len(text) <= most else f"{text[:most]}…"


def few(texts: Sequence[str], most: int) -> str:
    """The first of some texts, and how many more there are."""
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return ", ".join(texts[:most]) + more
