"""What the sender of a list wants: how many calls, at what cost, for what value, with reasons or not."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from deposit.data.tables.cells import number
from deposit.sections import EconomicsSettings
from serving.problems import http_error

_YES, _NO = {"true", "yes", "1", "on"}, {"", "false", "no", "0", "off"}


@dataclass(frozen=True)
class RankOptions:
    """The form's fields, read.

    Args:
        capacity: call the best so many; None calls all with an expected value above 0.
        deposit_value: of one subscription, in the unit of `call_cost`.
        call_cost: of one call.
        reasons: whether to explain the scores of those to be called.
        model: id of the model to ask; None is the served one.
    """

    capacity: int | None
    deposit_value: float
    call_cost: float
    reasons: bool
    model: str | None

    @property
    def break_even(self) -> float:
        """The probability from which a call earns more than it costs; above 1 if none can."""
        return self.call_cost / self.deposit_value


def parse_options(fields: Mapping[str, str], economics: EconomicsSettings) -> RankOptions:
    """Options from a form's fields; empty ones count as left out. Raises RequestError 422 naming the field."""
    return RankOptions(
        capacity=_whole(fields.get("capacity", ""), economics.capacity),
        deposit_value=_amount("deposit_value", fields.get("deposit_value", ""), economics.deposit_value),
        call_cost=_amount("call_cost", fields.get("call_cost", ""), economics.call_cost),
        reasons=_flag("reasons", fields.get("reasons", "")),
        model=fields.get("model") or None,
    )


def _whole(text: str, default: int | None) -> int | None:
    if not text:
        return default
    value = number(text, decimal_comma=False)
    if value is None or not (0 <= value < 1e9 and value.is_integer()):
        raise http_error(422, "must be a whole number of calls, 0 or more", "capacity")
    return int(value)


def _amount(name: str, text: str, default: float) -> float:
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < 1e12:
        raise http_error(422, "must be an amount above 0", name)
    return value


def _flag(name: str, text: str) -> bool:
    if text.lower() not in _YES | _NO:
        raise http_error(422, "must be true or false", name)
    return text.lower() in _YES
