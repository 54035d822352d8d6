import numpy as np
import pytest

from deposit.errors import DataError
from deposit.model.artifact import BOOSTER, Provenance
from deposit.model.evaluation import Economics
from deposit.progress import log_progress
from deposit.sections import TrainSettings
from deposit.training import candidates, mlflow_logging
from deposit.training.card import model_card
from deposit.training.plots import figures
from deposit.training.recipes import parameters, recency_weights
from deposit.training.windows import split

SETTINGS = TrainSettings(trials=3, bootstrap=100)
ECONOMICS = Economics(10.0, 1.0)
PROVENANCE = Provenance(dataset="x", revision="abc123", lock_sha256="0", created="2026-01-01")


def developed(frame):
    windows = split(frame["period"].to_numpy(dtype=str), 0.2, 0.2)
    tuned = candidates.tune_candidates(
        candidates.select_periods(frame, windows.development), windows, SETTINGS, ECONOMICS, log_progress
    )
    return [candidates.fit_final(each, frame, windows, SETTINGS, ECONOMICS, PROVENANCE) for each in tuned]


@pytest.fixture(scope="module")
def made(sample):
    return developed(sample)


def test_labels_of_the_test_window_choose_nothing(made, sample) -> None:
    test = (sample["period"] >= "2009-05").to_numpy()
    permuted = sample["y"].to_numpy().copy()
    permuted[test] = np.random.default_rng(5).permutation(permuted[test])

    again = developed(sample.assign(y=permuted))

    assert not np.array_equal(permuted, sample["y"])
    for one, other in zip(made, again, strict=True):
        assert one.name == other.name
        assert one.tuned.tuning == other.tuned.tuning
        assert one.tuned.validation == other.tuned.validation
        assert (one.artifact.shift, one.artifact.threshold) == (other.artifact.shift, other.artifact.threshold)
        assert one.predictions.probabilities.tobytes() == other.predictions.probabilities.tobytes()
        assert one.test["roc_auc"] != other.test["roc_auc"]


def test_two_trainings_give_the_same_bytes(made, sample, tmp_path) -> None:
    for one, other in zip(made, developed(sample), strict=True):
        for folder, candidate in (("one", one), ("other", other)):
            candidate.artifact.save(tmp_path / candidate.name / folder)
        folder = tmp_path / one.name
        files = sorted(path.name for path in (folder / "one").iterdir())
        assert (BOOSTER in files) == (one.name == "xgboost")
        for file in files:
            assert (folder / "one" / file).read_bytes() == (folder / "other" / file).read_bytes()


def test_the_challenger_is_first_by_validation_log_loss(made) -> None:
    losses = [candidate.tuned.validation["log_loss"] for candidate in made]

    assert {candidate.name for candidate in made} == {"logistic", "xgboost"}
    assert losses == sorted(losses)


def test_metadata_tells_where_a_model_comes_from(made) -> None:
    metadata = made[0].artifact.metadata

    assert metadata.train_end == "2009-04"
    assert metadata.test_start == "2009-05"
    assert metadata.dataset == "x"
    assert metadata.recipe == parameters(made[0].tuned.tuning.best)


def test_parity_rows_are_real_test_rows_scored_as_the_service_does(made, sample) -> None:
    artifact = made[0].artifact
    assert len(artifact.parity.rows) == 200
    ages = set(sample.loc[sample["period"] >= "2009-05", "age"])
    assert {row[0] for row in artifact.parity.rows} <= ages
    scored = artifact.probabilities(artifact.encoder.encode_rows(artifact.parity.rows))
    assert scored.tolist() == artifact.parity.probabilities


def test_the_first_trial_is_the_recipe_fixed_in_advance(made) -> None:
    trials = next(candidate for candidate in made if candidate.name == "xgboost").tuned.tuning.trials

    assert parameters(trials[0].recipe) == {
        "trees": 150, "depth": 3, "eta": 0.06, "min_child_weight": 10.0, "l2": 5.0, "features": "all",
        "half_life": None, "kind": "xgboost",
    }  # fmt: skip


def test_duration_in_the_data_is_refused_by_name(sample) -> None:
    with pytest.raises(DataError, match="duration is known only after the call"):
        candidates.select_periods(sample.assign(duration=1), ("2008-05",))


def test_a_history_with_one_outcome_says_what_to_do(sample) -> None:
    with pytest.raises(DataError, match="all rows of the training window 2008-05 to 2008-07 have the same outcome"):
        developed(sample.assign(y=np.int8(0)))


def test_a_test_window_of_one_outcome_has_dashes_in_the_card_and_plots_without_warnings(made, sample) -> None:
    test = (sample["period"] >= "2009-05").to_numpy()
    windows = split(sample["period"].to_numpy(dtype=str), 0.2, 0.2)
    candidate = candidates.fit_final(
        made[0].tuned,
        sample.assign(y=np.where(test, 0, sample["y"]).astype(np.int8)),
        windows,
        SETTINGS,
        ECONOMICS,
        PROVENANCE,
    )

    lines = model_card(candidate, windows, challenger=True).splitlines()
    measured = {name for name, value in mlflow_logging.candidate_metrics(candidate).items() if value == value}

    (ranks,) = (line for line in lines if line.startswith("| ROC AUC, all months pooled"))
    assert ranks.startswith("| ROC AUC, all months pooled | - | - to - | 0.")
    assert not [line for line in lines if "nan" in line]
    assert {"log_loss", "ece", "ece_high", "profit"} <= measured
    assert not {"roc_auc", "roc_auc_low", "pr_auc", "lift_10", "capture_30"} & measured
    assert len(figures(candidate.artifact, candidate.predictions, ECONOMICS)) == 4


def test_weights_halve_by_calendar_months() -> None:
    weights = recency_weights(["2008-12", "2009-01", "2009-03"], half_life=2)

    assert weights.tolist() == pytest.approx([0.5**1.5, 0.5, 1.0])
    assert recency_weights(["2008-12", "2009-03"], None).tolist() == [1.0, 1.0]
