import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from deposit.data.columns import NAMES
from deposit.errors import IntegrityError
from deposit.model.artifact import (
    BOOSTER,
    FORWARD,
    MODEL,
    PARITY,
    ForwardMonth,
    ModelArtifact,
    ModelMetadata,
    Parity,
    check_files,
    load_forward,
    load_reference,
)
from deposit.training.fitting import EncodedRows, fit, mix
from deposit.training.recipes import Recipe, Trees

EARLIER = Path(__file__).parent / "earlier"
"""A model as it was written before its metadata was a type."""


RECIPES = (Recipe("linear", "logistic"), Recipe("trees", "xgboost"), Recipe("rates", "rates", window=6))
MONTHS = (ForwardMonth("2008-12", "abc", 0.3, (0.25, 0.1)),)


@pytest.fixture(params=["xgboost", "logistic", "mixture", "mixture of one"])
def artifact(request, sample) -> ModelArtifact:
    """Models of one recipe are of an earlier version."""
    learned, kind = EncodedRows.of(sample), request.param.partition(" ")[0]
    recipes = {"mixture": RECIPES, "mixture of one": RECIPES[:1], "xgboost": RECIPES[1:2], "logistic": RECIPES[:1]}
    members = [fit(recipe, learned, Trees(20), 7) for recipe in recipes[request.param]]
    weights = {member.recipe.name: 1 / len(members) for member in members}
    scorer = mix(members, weights, learned.encoder) if kind == "mixture" else members[0].scorer
    rows = sample[list(NAMES)].head(50).to_numpy(dtype=object).tolist()
    made = ModelArtifact(
        kind, learned.encoder, scorer, 0.25, 0.3, ModelMetadata(dataset="abc", recipe={"trees": 20}),
        forward=MONTHS if kind == "mixture" else (),
    )  # fmt: skip
    return replace(made, parity=Parity(rows, made.probabilities(learned.encoder.encode_rows(rows)).tolist()))


def test_what_is_loaded_gives_the_same_bits(artifact, sample, tmp_path) -> None:
    artifact.save(tmp_path)

    loaded = ModelArtifact.load(tmp_path, threads=2)

    matrix = artifact.encoder.encode_columns(sample)
    assert loaded.probabilities(matrix).tobytes() == artifact.probabilities(matrix).tobytes()
    assert (loaded.kind, loaded.shift, loaded.threshold, loaded.metadata) == (
        artifact.kind, artifact.shift, artifact.threshold, artifact.metadata,
    )  # fmt: skip
    assert loaded.probabilities(loaded.encoder.encode_rows(loaded.parity.rows)).tolist() == loaded.parity.probabilities


def test_a_row_alone_gets_what_it_gets_among_others(artifact, sample) -> None:
    matrix = artifact.encoder.encode_columns(sample.head(64))

    alone = [artifact.probabilities(matrix[row : row + 1])[0] for row in range(len(matrix))]

    assert artifact.probabilities(matrix).tolist() == alone


def test_the_shift_moves_the_log_odds(artifact, sample) -> None:
    matrix = artifact.encoder.encode_columns(sample)

    with_shift, without = artifact.probabilities(matrix), replace(artifact, shift=0.0).probabilities(matrix)

    moved = np.log(with_shift / (1 - with_shift)) - np.log(without / (1 - without))
    assert moved == pytest.approx(np.full(len(moved), 0.25), abs=1e-6)


def test_files_are_data_only(artifact, tmp_path) -> None:
    artifact.save(tmp_path)

    has_trees = artifact.kind == "xgboost" or (artifact.kind == "mixture" and artifact.scorer.forest is not None)
    expected = {MODEL, PARITY} | ({BOOSTER} if has_trees else set()) | ({FORWARD} if artifact.forward else set())
    assert {path.name for path in tmp_path.iterdir()} == expected


def test_changed_bytes_are_refused(artifact, tmp_path) -> None:
    artifact.save(tmp_path)
    recorded = json.loads((tmp_path / MODEL).read_text())["sha256"]
    for name in recorded:
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(content[:-1] + b"!")
        for use in (check_files, load_forward if name == FORWARD else ModelArtifact.load):
            with pytest.raises(IntegrityError, match=f"{name} is not what model.json records"):
                use(tmp_path)
        (tmp_path / name).write_bytes(content)


def test_the_months_before_training_are_kept_beside(artifact, tmp_path) -> None:
    artifact.save(tmp_path)

    assert load_forward(tmp_path) == artifact.forward
    assert load_forward(EARLIER) == ()


def test_a_format_of_a_later_version_is_refused(artifact, tmp_path) -> None:
    artifact.save(tmp_path)
    content = json.loads((tmp_path / MODEL).read_text())
    (tmp_path / MODEL).write_text(json.dumps(content | {"format": 3}))

    with pytest.raises(IntegrityError, match="has format 3"):
        ModelArtifact.load(tmp_path)


def test_a_missing_file_is_named(artifact, tmp_path) -> None:
    artifact.save(tmp_path)
    (tmp_path / PARITY).unlink()

    with pytest.raises(IntegrityError, match=r"has no parity\.json"):
        ModelArtifact.load(tmp_path)


def test_a_model_of_an_earlier_version_is_read_as_it_was() -> None:
    model = ModelArtifact.load(EARLIER)

    assert model.probabilities(model.encoder.encode_rows(model.parity.rows)).tolist() == model.parity.probabilities
    assert (model.metadata.dataset, model.metadata.excluded_periods) == ("0123456789abcdef", ("2010-11",))
    assert (model.metadata.train_start, model.metadata.train_end) == ("2008-05", "2009-04")
    assert (model.metadata.test_start, model.metadata.test_end) == ("2009-05", "2010-11")
    assert (model.metadata.development_rows, model.metadata.recipe["strength"]) == (3043, 0.001)
    check_files(EARLIER)
    assert load_reference(EARLIER).rows == 3043


def test_the_names_in_the_file_are_those_of_before(tmp_path) -> None:
    ModelArtifact.load(EARLIER).save(tmp_path)

    before, after = (json.loads((folder / MODEL).read_text()) for folder in (EARLIER, tmp_path))
    assert after["metadata"] == before["metadata"] | {"ingested": ""}
    assert after.keys() == before.keys()


def test_metadata_that_no_version_has_written_is_refused(tmp_path) -> None:
    content = json.loads((EARLIER / MODEL).read_text())
    (tmp_path / PARITY).write_bytes((EARLIER / PARITY).read_bytes())
    later = content | {"metadata": content["metadata"] | {"of_a_later_version": 1}}
    (tmp_path / MODEL).write_text(json.dumps(later))
    assert ModelArtifact.load(tmp_path).metadata == ModelArtifact.load(EARLIER).metadata

    (tmp_path / MODEL).write_text(json.dumps(content | {"metadata": {"dataset": 7}}))
    with pytest.raises(IntegrityError, match=r"metadata in .*model\.json is not what a training writes"):
        ModelArtifact.load(tmp_path)
