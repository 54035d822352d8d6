"""What a person would expect of a model trained on the real history: first 80 % of the rows, tested on the rest."""

import numpy as np
import pandas as pd
import pytest

from deposit.model import metrics
from deposit.model.artifact import ModelArtifact
from deposit.training.fitting import EncodedRows, fit, mix
from deposit.training.recipes import RECIPES, Recipe, Trees

BY_NAME = {recipe.name: recipe for recipe in RECIPES}
TABLES = {
    "logistic": (BY_NAME["logistic"],),
    "xgboost": (BY_NAME["xgboost"],),
    "mixture": tuple(BY_NAME[name] for name in ("logistic", "logistic-nm-hl2", "xgboost", "rates")),
}
FLOORS = {"logistic": 0.69, "xgboost": 0.64, "mixture": 0.69}


@pytest.fixture(scope="module")
def cut(history) -> int:
    return int(len(history) * 0.8)


@pytest.fixture(scope="module")
def newest(history, cut) -> pd.DataFrame:
    return history[cut:]


@pytest.fixture(scope="module", params=TABLES)
def table(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def model(table, history, cut) -> ModelArtifact:
    return trained(TABLES[table], history[:cut])


def trained(recipes: tuple[Recipe, ...], rows: pd.DataFrame) -> ModelArtifact:
    learned = EncodedRows.of(rows)
    members = [fit(recipe, learned, Trees(), 7) for recipe in recipes]
    mixture = mix(members, {recipe.name: 1 / len(recipes) for recipe in recipes}, learned.encoder)
    return ModelArtifact("mixture", learned.encoder, mixture, 0.0, 0.5)


def scores(model: ModelArtifact, rows: pd.DataFrame, **changes):
    return model.probabilities(model.encoder.encode_columns(rows.assign(**changes)))


def test_it_ranks_the_newest_customers_better_than_chance_by_far(model, table, newest) -> None:
    auc = metrics.roc_auc(newest["y"].to_numpy(np.int8), scores(model, newest))

    assert auc >= FLOORS[table]
    assert auc < 0.78, "better than honest models reach out of time: something leaks"


def test_probabilities_are_probabilities(model, newest) -> None:
    predictions = scores(model, newest)

    assert np.isfinite(predictions).all()
    assert ((predictions >= 0) & (predictions <= 1)).all()
    assert len(np.unique(predictions)) > 100


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


@pytest.mark.parametrize("recipes", TABLES.values(), ids=TABLES)
def test_a_constant_column_breaks_nothing(history, recipes) -> None:
    rows = history.iloc[:4000].assign(**{"nr.employed": 5191.0, "contact": "cellular"})

    assert np.isfinite(scores(trained(recipes, rows), rows)).all()
