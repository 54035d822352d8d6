import json
from dataclasses import replace

import numpy as np
import pytest

from deposit.data.columns import NAMES
from deposit.errors import IntegrityError
from deposit.model.artifact import BOOSTER, MODEL, PARITY, ModelArtifact, Parity
from deposit.model.encoder import Encoder
from deposit.training.recipes import LogisticRecipe, TrainingSet, XgboostRecipe


@pytest.fixture(params=[XgboostRecipe(trees=20), LogisticRecipe(1.0, "all", None)], ids=lambda recipe: recipe.kind)
def artifact(request, sample) -> ModelArtifact:
    recipe, encoder = request.param, Encoder.fit(sample)
    examples = TrainingSet(encoder.encode_columns(sample), sample["y"].to_numpy(np.int8), np.ones(len(sample)))
    rows = sample[list(NAMES)].head(50).to_numpy(dtype=object).tolist()
    made = ModelArtifact(recipe.kind, encoder, recipe.fit(examples, 7), 0.25, 0.3, {"dataset": "abc"})
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
