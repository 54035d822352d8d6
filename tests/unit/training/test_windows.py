import numpy as np
import pytest

from deposit.errors import DataError
from deposit.training.windows import split


def test_test_and_validation_are_the_fewest_newest_periods_with_their_share() -> None:
    periods = ["2008-01"] * 50 + ["2008-02"] * 10 + ["2008-03"] * 15 + ["2008-04"] * 5 + ["2008-05"] * 20

    windows = split(periods, test_share=0.2, validation_share=0.2)

    assert windows.test == ("2008-05",)
    assert windows.validation == ("2008-03", "2008-04")
    assert windows.training == ("2008-01", "2008-02")
    assert windows.train_end == "2008-04"


def test_on_the_real_data_the_test_begins_in_may_2009(history) -> None:
    periods = history["period"].to_numpy(dtype=str)

    windows = split(periods, 0.2, 0.2)

    assert windows.test[0] == "2009-05"
    assert np.isin(periods, windows.development).sum() == 30_430
    assert windows.validation[0] == "2008-08"


def test_each_fold_has_its_period_and_only_earlier_rows_before_it() -> None:
    periods = np.array(["2008-01"] * 4 + ["2008-02"] * 2 + ["2008-03"] * 2 + ["2008-04"] * 2)
    windows = split(periods, 0.2, 0.4)

    folds = list(windows.folds(periods))

    assert windows.validation == ("2008-02", "2008-03")
    assert [set(periods[now]) for _, now in folds] == [{"2008-02"}, {"2008-03"}]
    assert all(max(periods[before].tolist()) < min(periods[now].tolist()) for before, now in folds)


def test_too_few_periods_say_what_to_do() -> None:
    with pytest.raises(DataError, match="too few periods"):
        split(["2008-01"] * 5 + ["2008-02"] * 5, 0.2, 0.2)
