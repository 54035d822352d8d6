"""What models would have answered in months that they had not seen, whatever version wrote them."""

from pathlib import Path

import numpy as np
import pytest

from deposit.model.artifact import ForwardMonth, ModelArtifact
from deposit.model.evaluation import predict
from deposit.selection.decision import ChallengeKind
from deposit.selection.standings import OpenedModel, challenge_history
from deposit.training.forward_cache import month_digests

EARLIER = Path(__file__).parents[1] / "model" / "earlier"
"""A model of one recipe, trained through 2009-04, of before there were mixtures."""


@pytest.fixture(scope="module")
def champion() -> OpenedModel:
    return OpenedModel(ModelArtifact.load(EARLIER), {})


@pytest.fixture(scope="module")
def digests(sample) -> dict[str, str]:
    return month_digests({str(period): rows for period, rows in sample.groupby("period", observed=True)})


@pytest.fixture(scope="module")
def challenger(sample, champion, digests) -> OpenedModel:
    months = {}
    for period, rows in sample[sample["period"] >= "2009-03"].groupby("period", observed=True):
        probabilities = tuple(np.linspace(0.1, 0.6, len(rows)).tolist())
        months[digests[str(period)]] = ForwardMonth(str(period), digests[str(period)], 0.4, probabilities)
    return OpenedModel(champion.artifact, months)


def test_a_model_of_an_earlier_version_is_judged_on_what_came_after_it(sample, champion, challenger) -> None:
    history = challenge_history(challenger, champion, sample)

    assert history.kind is ChallengeKind.CHANGE
    assert history.baseline_end == "2009-04"
    known = np.isfinite(history.baseline)
    assert set(history.periods[~known]) == {"2009-03", "2009-04"}
    newer = sample[sample["period"] > "2009-04"]
    assert history.baseline[known].tolist() == predict(champion.artifact, newer).probabilities.tolist()
    assert set(history.baseline_thresholds[known]) == {champion.artifact.threshold}
    assert set(history.challenger_thresholds) == {0.4}


def test_months_with_the_same_rows_are_joined_and_others_are_not(sample, champion, challenger, digests) -> None:
    changed = sample.assign(y=np.where(sample["period"] == "2009-03", 1 - sample["y"], sample["y"]).astype(np.int8))
    anew = challenge_history(challenger, champion, changed)
    assert "2009-03" not in set(anew.periods)
    assert "2009-04" in set(anew.periods)

    both = OpenedModel(champion.artifact, challenger.months)
    joined = challenge_history(challenger, both, sample)
    early = joined.periods <= "2009-04"
    assert joined.baseline[early].tolist() == joined.challenger[early].tolist()


def test_without_a_champion_the_baseline_is_the_rate_of_the_months_before(sample, challenger) -> None:
    history = challenge_history(challenger, None, sample)

    assert history.kind is ChallengeKind.FIRST
    rate = sample.loc[sample["period"] < "2009-05", "y"].mean()
    assert set(history.baseline[history.periods == "2009-05"]) == {rate}
    assert history.baseline_end == ""
