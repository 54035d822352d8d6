import numpy as np
import pytest
from sklearn.metrics import f1_score

from deposit.model.evaluation import Predictions
from deposit.training.candidates import best_f1_threshold, calibrate, shifted, shrunk_shift


def drawn(rate_factor: float, rows: int = 4000, periods: int = 4) -> Predictions:
    generator = np.random.default_rng(1)
    probabilities = generator.uniform(0.02, 0.3, rows)
    labels = (generator.uniform(size=rows) < np.minimum(probabilities * rate_factor, 1)).astype(np.int8)
    return Predictions(
        np.repeat([f"2009-0{month + 1}" for month in range(periods)], rows // periods), labels, probabilities
    )


def test_a_shift_is_learned_where_the_rate_moved_and_lowers_the_loss() -> None:
    found = calibrate(drawn(rate_factor=2.5))

    assert found.shift > 0.5


def test_no_shift_where_forward_it_does_not_help() -> None:
    rows = drawn(rate_factor=1.0)
    unlike = rows.labels.copy()
    unlike[rows.periods == "2009-01"] = 1 - unlike[rows.periods == "2009-01"]

    found = calibrate(Predictions(rows.periods, unlike, rows.probabilities))

    assert found.shift == 0.0
    assert found.served.probabilities.tolist() == rows.probabilities.tolist()


def test_the_shift_is_shrunk_by_information() -> None:
    labels, probabilities = np.array([1, 0] * 200, dtype=np.int8), np.full(400, 0.2)

    shift = shrunk_shift(labels, probabilities)

    assert shift == pytest.approx(np.log(4) * 100 / (100 + 100))
    assert shrunk_shift(np.zeros(10, dtype=np.int8), np.full(10, 0.2)) == 0.0
    assert shifted(np.array([0.2]), np.log(4))[0] == pytest.approx(0.5)


def test_the_threshold_has_the_best_f1() -> None:
    rows = drawn(rate_factor=2.0, rows=400)

    threshold = best_f1_threshold(rows.labels, rows.probabilities)

    best = max(f1_score(rows.labels, rows.probabilities >= value) for value in rows.probabilities)
    assert f1_score(rows.labels, rows.probabilities >= threshold) == pytest.approx(best)
