"""What a person would expect of a model trained on the real history: first 80 % of the rows, tested on the rest."""

import numpy as np
import pandas as pd
import pytest

from deposit.model import metrics
from deposit.model.artifact import ModelArtifact
from deposit.model.encoder import Encoder
from deposit.training.recipes import FEATURE_SETS, LogisticRecipe, TrainingSet, XgboostRecipe, recency_weights

LOGISTIC, XGBOOST = LogisticRecipe(1.0, "all", None), XgboostRecipe()
FLOORS = {"logistic": 0.69, "xgboost": 0.64}


@pytest.fixture(scope="module")
def cut(history) -> int:
    return int(len(history) * 0.8)


@pytest.fixture(scope="module")
def newest(history, cut) -> pd.DataFrame:
    return history[cut:]


@pytest.fixture(scope="module", params=[LOGISTIC, XGBOOST], ids=lambda recipe: recipe.kind)
def model(request, history, cut) -> ModelArtifact:
    return trained(request.param, history[:cut])


def trained(recipe, rows: pd.DataFrame) -> ModelArtifact:
    encoder = Encoder.fit(rows, FEATURE_SETS[recipe.features])
    weights = recency_weights(rows["period"].to_numpy(dtype=str), recipe.half_life)
    examples = TrainingSet(encoder.encode_columns(rows), rows["y"].to_numpy(np.int8), weights)
    return ModelArtifact(recipe.kind, encoder, recipe.fit(examples, 7), 0.0, 0.5)


def scores(model: ModelArtifact, rows: pd.DataFrame, **changes):
    return model.probabilities(model.encoder.encode_columns(rows.assign(**changes)))


def test_it_ranks_the_newest_customers_better_than_chance_by_far(model, newest) -> None:
    auc = metrics.roc_auc(newest["y"].to_numpy(np.int8), scores(model, newest))

    assert auc >= FLOORS[model.kind]
    assert auc < 0.78, "better than honest models reach out of time: something leaks"


def test_probabilities_are_probabilities(model, newest) -> None:
    found = scores(model, newest)

    assert np.isfinite(found).all()
    assert ((found >= 0) & (found <= 1)).all()
    assert len(np.unique(found)) > 100


def test_ids_and_periods_do_not_matter(model, newest) -> None:
    assert scores(model, newest).tolist() == scores(model, newest, id=0, period="1999-01").tolist()


def test_the_order_of_the_customers_does_not_matter(model, newest) -> None:
    assert scores(model, newest[::-1]).tolist() == scores(model, newest)[::-1].tolist()


@pytest.mark.parametrize("day", ["mon", "wed", "fri"])
def test_the_day_of_the_week_moves_little(model, newest, day) -> None:
    assert np.abs(scores(model, newest, day_of_week=day) - scores(model, newest)).mean() < 0.03


def test_a_year_of_age_moves_little(model, newest) -> None:
    older = scores(model, newest, age=newest["age"] + 1)

    assert np.abs(older - scores(model, newest)).mean() < 0.02


def test_a_success_before_raises_the_probability(model, newest) -> None:
    success = scores(model, newest, poutcome="success", pdays=6, previous=1)
    failure = scores(model, newest, poutcome="failure", pdays=999, previous=1)

    assert (success > failure).mean() > 0.99
    assert success.mean() > 1.5 * failure.mean()


def test_a_mobile_phone_is_better_than_a_landline(model, newest) -> None:
    cellular, telephone = scores(model, newest, contact="cellular"), scores(model, newest, contact="telephone")

    assert cellular.mean() > telephone.mean()


def test_every_further_call_lowers_the_probability(model, newest) -> None:
    assert scores(model, newest, campaign=10).mean() < scores(model, newest, campaign=1).mean()


@pytest.mark.parametrize("recipe", [LOGISTIC, XGBOOST], ids=lambda recipe: recipe.kind)
def test_a_constant_column_breaks_nothing(history, recipe) -> None:
    rows = history.iloc[:4000].assign(**{"nr.employed": 5191.0, "contact": "cellular"})

    assert np.isfinite(scores(trained(recipe, rows), rows)).all()
