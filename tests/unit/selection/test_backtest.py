"""The backtest answers with what the policy has let through, however old that is."""

import pytest

from deposit.sections import SelectSettings
from deposit.selection.backtest import backtest
from deposit.selection.decision import ChallengeKind, Comparison, GateResult, SharedWindow
from deposit.selection.gate import ChallengeHistory, RefitPolicy
from deposit.training.fitting import mix
from deposit.training.forward_cache import ForwardCache
from deposit.training.recipes import Recipe
from deposit.training.rolling_origin import Fitting, Trainer
from deposit.training.weighting import Standing, sigmoid

TABLE = (Recipe("strong", "logistic", inverse_l2=0.001), Recipe("rates", "rates", window=6))


class Refusing(RefitPolicy):
    """Lets nothing through, and keeps what it was asked."""

    asked: list[tuple[str, ChallengeHistory]] = []  # noqa: RUF012 - of the class, since its objects are frozen

    def decide(self, history: ChallengeHistory, as_of: str) -> Comparison:
        self.asked.append((as_of, history))
        return Comparison(SharedWindow("", 0, "", "", 0), GateResult(()), ChallengeKind.REFRESH)


@pytest.fixture(scope="module")
def trainer(sample) -> Trainer:
    return Trainer(sample[sample["period"] < "2009-08"], Fitting(recipes=TABLE), ForwardCache())


@pytest.fixture(scope="module")
def standing(trainer) -> Standing:
    return Standing(trainer.score())


def test_a_monthly_refresh_passes_and_answers_as_the_mixture_stands(trainer, standing) -> None:
    lived = backtest(trainer, standing, RefitPolicy(SelectSettings(), resamples=100))

    assert [month.promoted for month in lived.months] == [True] * len(standing.forward.folds)
    assert [month.train_end for month in lived.months] == [fold.labelled[-1] for fold in standing.forward.folds]
    assert lived.predictions.probabilities.tolist() == standing.predictions.probabilities.tolist()


def test_where_nothing_passes_the_first_model_answers_for_ever(trainer, standing) -> None:
    Refusing.asked.clear()

    lived = backtest(trainer, standing, Refusing(SelectSettings()))

    first, last = standing.forward.folds[0], standing.forward.folds[-1]
    assert [month.promoted for month in lived.months] == [True] + [False] * (len(standing.forward.folds) - 1)
    assert {month.train_end for month in lived.months} == {first.labelled[-1]}
    rows, members = trainer.fit(first.labelled, TABLE)
    mixture = mix(members, standing.history[first.period], rows.encoder)
    expected = sigmoid(mixture.log_odds(rows.encoder.encode_columns(trainer.months[last.period])))
    assert lived.predictions.probabilities[standing.forward.rows(last.period)] == pytest.approx(expected, abs=1e-9)


def test_the_policy_is_shown_no_answer_of_a_month_to_come(trainer, standing) -> None:
    Refusing.asked.clear()
    backtest(trainer, standing, Refusing(SelectSettings()))

    assert [as_of for as_of, _ in Refusing.asked] == [fold.period for fold in standing.forward.folds[1:]]
    for as_of, history in Refusing.asked:
        assert set(history.periods[history.baseline == history.baseline]) == {
            fold.period for fold in standing.forward.folds if fold.period < as_of
        }
