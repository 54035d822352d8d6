import math

import numpy as np
import pytest

from deposit.console import shown


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"), (math.nan, "-"), (np.float64("nan"), "-"), (0.71239, "0.712"), (-0.5, "-0.500"),
        (99.9994, "99.999"), (-1234.4, "-1,234"), (1234, "1,234"), (0, "0"), ("decay", "decay"), ("", ""),
    ],
)  # fmt: skip
def test_a_cell_is_short_and_a_dash_where_there_is_no_figure(value: object, text: str) -> None:
    assert shown(value) == text
