import json

import numpy as np
import pandas as pd
import pytest

from deposit.model.reference import ReferenceProfile
from deposit.training.fitting import EncodedRows, fit_rates
from deposit.training.profiling import profile_reference
from deposit.training.recipes import FALLBACK


def _months(sample: pd.DataFrame, *sizes_and_subscribed: tuple[int, int]) -> pd.DataFrame:
    periods = [f"2009-{n:02d}" for n, (size, _) in enumerate(sizes_and_subscribed, 1) for _ in range(size)]
    labels = [int(row < some) for size, some in sizes_and_subscribed for row in range(size)]
    return sample.iloc[: len(labels)].assign(period=periods, y=np.array(labels, np.int8))


@pytest.mark.parametrize(
    ("months", "lowest", "highest"),
    [
        ([(100, 5), (50, 20), (200, 30)], 0.05, 0.4),
        # a month of few rows does not say what a month may be like
        ([(100, 5), (49, 49), (200, 30)], 0.05, 0.15),
        ([(100, 0), (100, 100)], 0.0, 1.0),
        # there are no others
        ([(40, 0), (40, 20)], 0.25, 0.25),
    ],
)
def test_the_reference_has_the_lowest_and_highest_rate_of_a_month(
    sample: pd.DataFrame, months: list[tuple[int, int]], lowest: float, highest: float
) -> None:
    frame = _months(sample, *months)
    rates = fit_rates(FALLBACK, EncodedRows.of(frame))
    reference = profile_reference(frame, np.linspace(0, 1, len(frame)), rates)
    assert (reference.lowest_rate, reference.highest_rate) == (lowest, highest)
    assert reference.rate == pytest.approx(sum(some for _, some in months) / len(frame))
    assert ReferenceProfile.from_json(json.loads(json.dumps(reference.to_json()))) == reference
    assert np.ravel(reference.rate_table) == pytest.approx(np.ravel(rates.probabilities))
