import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from deposit.data.columns import NAMES
from deposit.errors import IntegrityError
from deposit.model.artifact import (
    BOOSTER,
    MODEL,
    PARITY,
    ModelArtifact,
    ModelMetadata,
    Parity,
    check_files,
    load_reference,
)
from deposit.model.encoder import Encoder
from deposit.training.recipes import LogisticRecipe, TrainingSet, XgboostRecipe

EARLIER = Path(__file__).parent / "earlier"
"""A model as it was written before its metadata was a type."""


@pytest.fixture(params=[XgboostRecipe(trees=20), LogisticRecipe(1.0, "all", None)], ids=lambda recipe: recipe.kind)
def artifact(request, sample) -> ModelArtifact:
    recipe, encoder = request.param, Encoder.fit(sample)
    examples = TrainingSet(encoder.encode_columns(sample), sample["y"].to_numpy(np.int8), np.ones(len(sample)))
    rows = sample[list(NAMES)].head(50).to_numpy(dtype=object).tolist()
    made = ModelArtifact(
        recipe.kind, encoder, recipe.fit(examples, 7), 0.25, 0.3, ModelMetadata(dataset="abc", recipe={"trees": 20})
    )
    return replace(made, parity=Parity(rows, made.probabilities(encoder.encode_rows(rows)).tolist()))


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

    expected = {MODEL, PARITY, BOOSTER} if artifact.kind == "xgboost" else {MODEL, PARITY}
    assert {path.name for path in tmp_path.iterdir()} == expected


def test_changed_bytes_are_refused(artifact, tmp_path) -> None:
    artifact.save(tmp_path)
    recorded = json.loads((tmp_path / MODEL).read_text())["sha256"]
    for name in recorded:
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(content[:-1] + b"!")
        with pytest.raises(IntegrityError, match=f"{name} is not what model.json records"):
            ModelArtifact.load(tmp_path)
        (tmp_path / name).write_bytes(content)


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
    assert after["metadata"] == before["metadata"]
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
