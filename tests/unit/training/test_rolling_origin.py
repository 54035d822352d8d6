"""Splits are what `timebasedcv` makes, and no label of a month or later decides what was answered in it."""

import numpy as np
import pandas as pd
import pytest
import xgboost
from timebasedcv import TimeBasedSplit

from deposit.errors import DataError
from deposit.sections import SelectSettings
from deposit.selection.backtest import backtest
from deposit.selection.gate import RefitPolicy
from deposit.training import rolling_origin
from deposit.training.fitting import score_month
from deposit.training.forward_cache import ForwardCache
from deposit.training.recipes import Recipe
from deposit.training.rolling_origin import Fitting, Fold, Trainer, folds
from deposit.training.search import TUNING_MONTHS, tune
from deposit.training.weighting import Standing

TABLE = (
    Recipe("strong", "logistic", inverse_l2=0.001),
    Recipe("recent", "logistic", "no_macro", half_life=2),
    Recipe("trees", "xgboost", tuned=True),
    Recipe("rates", "rates", window=6),
)
MONTHS = [f"2008-{month:02d}" for month in range(1, 13)]


def trainer(frame: pd.DataFrame, cache: ForwardCache | None = None, **changed) -> Trainer:
    return Trainer(frame, Fitting(trials=2, recipes=TABLE, **changed), cache or ForwardCache())


@pytest.fixture(scope="module")
def standing(sample) -> Standing:
    return Standing(trainer(sample).score())


@pytest.mark.parametrize("delay", [0, 1, 3])
def test_the_splits_are_those_of_timebasedcv(delay) -> None:
    days = pd.Series(pd.to_datetime([f"{month}-15" for month in MONTHS]))
    splitter = TimeBasedSplit(
        frequency="months", train_size=6, forecast_horizon=1, gap=delay, stride=1, window="expanding"
    )
    frame = pd.DataFrame({"month": MONTHS})

    theirs = [
        Fold(now["month"].iloc[0], tuple(before["month"]))
        for before, now in splitter.split(
            frame, time_series=days, start_dt=pd.Timestamp("2008-01-01"), end_dt=pd.Timestamp("2009-01-01")
        )
        if len(now)  # it ends with a month that is not there
    ]

    assert theirs
    assert list(folds(MONTHS[::-1], delay)) == theirs


def test_months_that_are_missing_count_for_the_delay() -> None:
    chosen = folds(["2008-01", "2008-02", "2008-03", "2008-04", "2008-05", "2008-06", "2008-11", "2008-12"], delay=1)

    assert [(fold.period, fold.labelled[-1]) for fold in chosen] == [("2008-11", "2008-06"), ("2008-12", "2008-06")]


def test_a_short_history_scores_what_it_can() -> None:
    assert [fold.period for fold in folds(["2008-01", "2008-02", "2008-03"], 0)] == ["2008-03"]
    for months in ([], ["2008-01"]):
        with pytest.raises(DataError, match="too few to score one"):
            folds(months, 0)
    with pytest.raises(DataError, match="too few to score one"):
        folds(["2008-01", "2008-02"], 2)


def test_labels_from_a_month_on_change_no_decision_before_it(sample, standing) -> None:
    policy, first = RefitPolicy(SelectSettings(), resamples=100), "2009-05"
    later = (sample["period"] >= first).to_numpy()
    permuted = sample["y"].to_numpy().copy()
    permuted[later] = np.random.default_rng(5).permutation(permuted[later])
    assert not np.array_equal(permuted, sample["y"])

    before = backtest(trainer(sample), standing, policy)
    other = trainer(sample.assign(y=permuted))
    after = backtest(other, Standing(other.score()), policy)

    decided = [month for month in before.months if month.period <= first]
    assert len(decided) == 4
    assert [month for month in after.months if month.period <= first] == decided
    rows = before.predictions.periods <= first
    assert after.predictions.probabilities[rows].tobytes() == before.predictions.probabilities[rows].tobytes()
    assert after.thresholds[rows].tolist() == before.thresholds[rows].tolist()
    assert after.months[-1].weights != before.months[-1].weights


def test_with_a_delay_a_month_s_labels_come_later(sample) -> None:
    delayed = trainer(sample, delay=2)
    forward = delayed.score()

    assert all(pd.Period(fold.labelled[-1], "M") + 2 < pd.Period(fold.period, "M") for fold in forward.folds)
    last = forward.folds[-1]
    unknown = forward.until([fold.period for fold in forward.folds if fold.period in last.labelled])
    assert Standing(forward).weights(last) == Standing(unknown).weights()


def test_what_was_scored_is_not_fitted_again(sample, monkeypatch) -> None:
    cache, early = ForwardCache(), sample[sample["period"] < "2009-10"]
    trainer(early, cache).score()
    fitted: list[tuple[str, ...]] = []

    def counting(months, labelled, *rest):
        fitted.append(tuple(labelled))
        return score_month(months, labelled, *rest)

    monkeypatch.setattr(rolling_origin, "score_month", counting)
    ours = trainer(sample[sample["period"] <= "2009-10"], cache).score()

    assert [each[-1] for each in fitted] == ["2009-09"]
    fresh = trainer(sample[sample["period"] <= "2009-10"]).score()
    assert ours.log_odds.tobytes() == fresh.log_odds.tobytes()


def test_a_recipe_that_is_added_is_fitted_alone(sample, monkeypatch) -> None:
    cache, early = ForwardCache(), sample[sample["period"] < "2009-03"]
    Trainer(early, Fitting(recipes=TABLE[:1]), cache).score()
    names: set[str] = set()

    def counting(months, labelled, period, members, seed):
        names.update(recipe.name for recipe, _ in members.values())
        return score_month(months, labelled, period, members, seed)

    monkeypatch.setattr(rolling_origin, "score_month", counting)
    Trainer(early, Fitting(recipes=(TABLE[0], TABLE[3])), cache).score()

    assert names == {"rates"}


def test_another_seed_fits_trees_again_and_nothing_else(sample, monkeypatch) -> None:
    cache, early = ForwardCache(), sample[sample["period"] < "2009-01"]
    table = (TABLE[0], Recipe("fixed", "xgboost"), TABLE[3])
    Trainer(early, Fitting(recipes=table), cache).score()
    names: set[str] = set()

    def counting(months, labelled, period, members, seed):
        names.update(recipe.name for recipe, _ in members.values())
        return score_month(months, labelled, period, members, seed)

    monkeypatch.setattr(rolling_origin, "score_month", counting)
    ours = Trainer(early, Fitting(recipes=table, seed=8), cache).score()

    assert names == {"fixed"}
    fresh = Trainer(early, Fitting(recipes=table, seed=8), ForwardCache()).score()
    assert ours.log_odds.tobytes() == fresh.log_odds.tobytes()


def test_damaged_objects_of_the_cache_are_made_again(sample) -> None:
    cache, early = ForwardCache(), sample[sample["period"] < "2009-03"]
    first = trainer(early, cache).score()
    for name, content in cache._objects.items():
        cache._objects[name] = content[: len(content) // 2]

    assert trainer(early, cache).score().log_odds.tobytes() == first.log_odds.tobytes()


def test_the_number_of_threads_changes_no_bit(sample) -> None:
    early = sample[sample["period"] < "2009-03"]

    one, many = (trainer(early, threads=threads).score() for threads in (1, 4))

    assert one.log_odds.tobytes() == many.log_odds.tobytes()


def test_the_number_of_threads_changes_no_search_and_its_rows_are_cut_once(sample, monkeypatch) -> None:
    months = {str(period): rows for period, rows in sample.groupby("period", observed=True)}
    cut, make = [], xgboost.QuantileDMatrix
    monkeypatch.setattr(xgboost, "QuantileDMatrix", lambda rows, **named: cut.append(len(rows)) or make(rows, **named))

    one, two = (
        tune(months, sorted(months)[:5], trials=12, seed=7, threads=threads, progress=lambda *_: None)
        for threads in (1, 2)
    )

    assert any(trial.pruned for trial in one.trials)
    assert one == two
    assert len(cut) == 2 * TUNING_MONTHS  # one search's rows are not the other's


def test_duration_in_the_data_is_refused_by_name(sample) -> None:
    with pytest.raises(DataError, match="duration is known only after the call"):
        trainer(sample.assign(duration=1))


def test_a_history_with_one_outcome_says_what_to_do(sample) -> None:
    with pytest.raises(DataError, match="first labelled months 2008-05 to 2008-11 have the same outcome"):
        trainer(sample.assign(y=np.int8(0))).score()
