import pytest

from deposit.sections import EconomicsSettings
from serving.ranking.rank_options import parse_options

ECONOMICS = EconomicsSettings(deposit_value=20, call_cost=2, capacity=300)


def test_what_a_form_leaves_out_is_as_the_settings_say() -> None:
    options = parse_options({"capacity": "", "call_cost": "5"}, ECONOMICS)

    assert (options.capacity, options.deposit_value, options.call_cost) == (300, 20.0, 5.0)


@pytest.mark.parametrize(("text", "capacity"), [("0", 0), ("7", 7)])
def test_a_capacity_in_the_form_counts_more_than_the_setting(text: str, capacity: int) -> None:
    assert parse_options({"capacity": text}, ECONOMICS).capacity == capacity


def test_without_a_capacity_anywhere_there_is_no_limit() -> None:
    assert parse_options({}, EconomicsSettings()).capacity is None
