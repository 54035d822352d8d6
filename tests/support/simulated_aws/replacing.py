"""How a patch takes the place of a method of moto."""

from collections.abc import Callable
from typing import Any

Method = Callable[..., Any]


def replace(owner: type, name: str, make: Callable[[Method], Any]) -> None:
    """Puts `make(original)` in the place of `owner.name`."""
    setattr(owner, name, make(getattr(owner, name)))
