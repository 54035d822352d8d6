"""Options of a ranking request: number of calls, cost of a call, value of a subscription, reasons, model."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from deposit.data.tables.cells import number
from deposit.sections import EconomicsSettings
from serving.problems import http_error

_GROUPED = re.compile(r"[0-9]{1,3}(\.[0-9]{3})+")
"""`1.000` may mean one thousand or one, so it is rejected."""
_YES, _NO = {"true", "yes", "1", "on"}, {"", "false", "no", "0", "off"}


@dataclass(frozen=True)
class RankOptions:
    """Parsed form fields.

    Args:
        capacity: number of calls; None to call every customer with an expected value above 0.
        deposit_value: value of a subscription, in the unit of `call_cost`.
        call_cost: cost of a call.
        reasons: whether to explain the scores of the customers to call.
        model: id of the model to use; None for the served model.
    """

    capacity: int | None
    deposit_value: float
    call_cost: float
    reasons: bool
    model: str | None

    @property
    def break_even(self) -> float:
        """Probability above which a call earns more than it costs; above 1 if no call can."""
        return self.call_cost / self.deposit_value


def parse_options(fields: Mapping[str, str], economics: EconomicsSettings) -> RankOptions:
    """Parse options from form fields; an empty field counts as omitted. Raises RequestError 422 naming the field."""
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
    value = None if _GROUPED.fullmatch(text) else number(text, decimal_comma=False)
    if value is None or not (0 <= value < 1e9 and value.is_integer()):
        raise http_error(422, "must be a whole number of calls, 0 or more, in digits only, such as 1000", "capacity")
    return int(value)


def _amount(name: str, text: str, default: float) -> float:
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < 1e12:
        raise http_error(
            422, "must be an amount above 0, with a point before the decimals and no other sign, such as 10.5", name
        )
    return value


def _flag(name: str, text: str) -> bool:
    if text.lower() not in _YES | _NO:
        raise http_error(422, "must be true or false", name)
    return text.lower() in _YES
