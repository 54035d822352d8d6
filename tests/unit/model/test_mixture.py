"""A mixture gives what its members give, weighted; collapsed by family."""

import numpy as np
import pytest

from deposit.model.mixture import FACTORS, RateTable, by_owner
from deposit.training.fitting import EncodedRows, Member, fit, mix
from deposit.training.recipes import MACRO_FEATURES, Recipe, Trees

RECIPES = (
    Recipe("linear", "logistic", inverse_l2=0.01),
    Recipe("recent", "logistic", "no_macro", half_life=2),
    Recipe("trees", "xgboost"),
    Recipe("customers", "xgboost", "no_macro"),
    Recipe("rates", "rates", window=6),
    Recipe("all rates", "rates"),
)
WEIGHTS = dict(zip((each.name for each in RECIPES), (0.3, 0.2, 0.15, 0.05, 0.2, 0.1), strict=True))


@pytest.fixture(scope="module")
def learned(sample) -> EncodedRows:
    return EncodedRows.of(sample)


@pytest.fixture(scope="module")
def members(learned) -> list[Member]:
    return [fit(recipe, learned, Trees(30), 7) for recipe in RECIPES]


def test_collapsed_it_gives_the_weighted_log_odds_of_its_members(learned, members) -> None:
    mixture = mix(members, WEIGHTS, learned.encoder)

    expected = sum(WEIGHTS[each.recipe.name] * each.log_odds(learned.encoder, learned.matrix) for each in members)

    assert mixture.log_odds(learned.matrix) == pytest.approx(expected, abs=5e-6)
    assert mixture.forest.num_boosted_rounds() == 60


@pytest.mark.parametrize("family", ["logistic", "xgboost", "rates"])
def test_a_family_alone_is_a_mixture_too(learned, members, family) -> None:
    alone = [each for each in members if each.recipe.family == family]
    mixture = mix(alone, {each.recipe.name: 0.5 for each in alone}, learned.encoder)

    expected = sum(0.5 * each.log_odds(learned.encoder, learned.matrix) for each in alone)

    assert mixture.log_odds(learned.matrix) == pytest.approx(expected, abs=5e-6)


def test_contributions_add_up_to_the_score(learned, members) -> None:
    mixture, encoder = mix(members, WEIGHTS, learned.encoder), learned.encoder
    places = {name: place for place, name in enumerate(encoder.columns)}
    owners = np.array([places[name.partition("=")[0]] for name in encoder.names()])

    effects = mixture.contributions(learned.matrix, owners, places)

    base = mixture.log_odds(learned.matrix) - effects.sum(axis=1)
    assert base == pytest.approx(np.full(len(base), base[0]), abs=1e-4)
    rates = mix(members[4:5], {"rates": 1.0}, encoder).contributions(learned.matrix, owners, places)
    assert {name for name in places if np.abs(rates[:, places[name]]).max() > 0} == set(FACTORS)


def test_a_recipe_without_macro_columns_does_not_look_at_them(learned, members) -> None:
    changed = learned.matrix.copy()
    macro = [name.partition("=")[0] in MACRO_FEATURES for name in learned.encoder.names()]
    changed[:, macro] += 3

    for member in members:
        same = np.array_equal(
            member.log_odds(learned.encoder, changed), member.log_odds(learned.encoder, learned.matrix)
        )
        assert same == (member.recipe.columns == "no_macro" or member.recipe.family == "rates")


def test_a_rate_table_has_the_rates_of_its_cells(learned, sample) -> None:
    table = fit(Recipe("rates", "rates"), learned, Trees(), 7)
    cell = (sample["poutcome"] == "nonexistent") & (sample["contact"] == "cellular") & sample["age"].between(30, 59)

    given = table.log_odds(learned.encoder, learned.matrix)[cell.to_numpy()]

    rate = sample.loc[cell, "y"].mean()
    assert cell.sum() > 1000
    assert len(set(given)) == 1
    assert 1 / (1 + np.exp(-given[0])) == pytest.approx(rate, abs=0.002)


def test_effects_of_a_table_are_zero_for_what_does_not_matter() -> None:
    log_odds = np.broadcast_to(np.array([-2.0, -1.0, 1.0])[:, None, None], (3, 2, 3))

    table = RateTable.of(log_odds, np.ones((3, 2, 3)))

    assert table.effects[..., 0] == pytest.approx(log_odds - log_odds.mean())
    assert table.effects[..., 1:] == pytest.approx(np.zeros((3, 2, 3, 2)))


def test_contributions_are_summed_by_the_column_they_come_from() -> None:
    assert by_owner(np.array([[1.0, 2.0, 4.0]]), np.array([1, 0, 1]), 3).tolist() == [[2.0, 5.0, 0.0]]
