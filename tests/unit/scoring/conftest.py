from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from deposit.data.columns import CATEGORIES, NAMES
from deposit.model.artifact import ModelArtifact
from deposit.progress import log_progress
from deposit.scoring.batch_scoring import BatchScoring
from deposit.scoring.inputs import find_inputs
from deposit.scoring.journal import Journal, ScorePlan
from deposit.scoring.output import output_folder
from deposit.sections import ComputeSettings, StoreSettings
from deposit.store import ObjectStore
from deposit.training.fitting import EncodedRows, fit, mix
from deposit.training.recipes import RECIPES, Trees


@pytest.fixture(scope="session")
def artifact(sample: pd.DataFrame) -> ModelArtifact:
    """A mixture of one model of each family."""
    learned = EncodedRows.of(sample)
    members = [fit(recipe, learned, Trees(trees=20), seed=7) for recipe in RECIPES if recipe.name in _MEMBERS]
    mixture = mix(members, dict.fromkeys(_MEMBERS, 1 / len(_MEMBERS)), learned.encoder)
    return ModelArtifact("mixture", learned.encoder, mixture, 0.1, 0.2)


_MEMBERS = ("logistic", "xgboost", "rates")


@pytest.fixture(scope="session")
def customers(sample: pd.DataFrame) -> pd.DataFrame:
    """Real customers with an id of their own, as a bank exports them."""
    rows = sample[list(NAMES)].astype(dict.fromkeys(CATEGORIES, object))
    return rows.assign(id=[f"c-{number}" for number in range(len(rows))])


@pytest.fixture
def make_scoring(artifact: ModelArtifact, tmp_path: Path) -> Callable[..., BatchScoring]:
    """A run over some files into `<tmp_path>/out`; the same call again goes on with it."""

    def make(source: Path | str, charset: str = "") -> BatchScoring:
        scratch = tmp_path / "scratch"
        scratch.mkdir(exist_ok=True)
        store, journal = ObjectStore(StoreSettings()), Journal(scratch / "journal.jsonl")
        folder = output_folder(str(tmp_path / "out"), store)
        plan = journal.plan or ScorePlan(
            run_id="0123456789abcdef" * 2,
            output=folder.uri,
            inputs=tuple(find_inputs(str(source), store)),
            model_id="deposit-v3",
            deposit_value=10.0,
            call_cost=1.0,
            period="",
            is_logged=False,
            event_time=0,
            charset=charset,
        )
        if journal.plan is None:
            journal.add(plan)
        return BatchScoring(
            plan, journal, lambda: artifact, ComputeSettings(), 2, store, folder, scratch, None, log_progress
        )

    return make
