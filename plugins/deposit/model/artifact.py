"""A trained model as data: JSON and XGBoost's own format, with checksums, never a pickle."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import xgboost
from numpy.typing import NDArray

from deposit.errors import DataError, IntegrityError
from deposit.model.encoder import Encoder, Matrix
from deposit.model.reference import ReferenceProfile

MODEL, BOOSTER, PARITY, REFERENCE = "model.json", "booster.ubj", "parity.json", "reference.json"
FORMAT = 1
Labels = NDArray[np.int8]
Probabilities = NDArray[np.float64]


class Provenance(msgspec.Struct, frozen=True, kw_only=True):
    """Where a training comes from; empty where nobody wrote it down.

    Args:
        dataset: version of the dataset.
        training_key: the same for trainings that give the same models.
        revision: git commit of the code.
        lock_sha256: of uv.lock.
        created: in UTC and ISO form.
        excluded_periods: months of the dataset that were left out, their data being broken.
    """

    dataset: str = ""
    training_key: str = ""
    revision: str = ""
    lock_sha256: str = ""
    created: str = ""
    excluded_periods: tuple[str, ...] = msgspec.field(default=(), name="left_out")


class ModelMetadata(Provenance, frozen=True, kw_only=True):
    """Where a model comes from, and what it was trained and tested on; months are YYYY-MM, the last one included.

    Args:
        recipe: how it was fitted: values by name.
        development_rows: rows that it was fitted on.
        development_rate: the share of these that subscribed.
    """

    recipe: Mapping[str, str | int | float | None] = msgspec.field(default_factory=dict)
    train_start: str = msgspec.field(default="", name="trained_from")
    train_end: str = msgspec.field(default="", name="trained_through")
    test_start: str = msgspec.field(default="", name="tested_from")
    test_end: str = msgspec.field(default="", name="tested_through")
    development_rows: int = 0
    development_rate: float = 0.0


@dataclass(frozen=True)
class Parity:
    """Real rows (values in the order of `NAMES`) and the probabilities that the training process gave them."""

    rows: Sequence[Sequence[Any]]
    probabilities: Sequence[float]


@dataclass(frozen=True, eq=False)
class ModelArtifact:
    """Encoder, scorer, calibration and threshold; what is evaluated, registered, packaged and served.

    Args:
        kind: which scorer.
        encoder: from customers to the scorer's matrix.
        scorer: the booster, or the logistic regression's coefficients with the intercept last.
        shift: calibration, added to the log-odds.
        threshold: a customer with at least this probability `subscribes`.
        metadata: where it comes from; empty until it is finished.
        parity: rows that every process serving this model must score alike.
        reference: what it was trained on, counted, for monitoring; it is written beside and not read again to serve.
    """

    kind: Literal["xgboost", "logistic"]
    encoder: Encoder
    scorer: xgboost.Booster | NDArray[np.float64] = field(repr=False)
    shift: float
    threshold: float
    metadata: ModelMetadata = field(default_factory=ModelMetadata)
    parity: Parity = field(repr=False, default_factory=lambda: Parity([], []))
    reference: ReferenceProfile | None = field(repr=False, default=None)

    def probabilities(self, matrix: Matrix) -> Probabilities:
        """Probability of a subscription for each row of an encoded matrix, shape (n,)."""
        if isinstance(self.scorer, xgboost.Booster):
            margin = self.scorer.inplace_predict(matrix, predict_type="margin").astype(np.float64)
        else:
            # one row at a time gives the same bits whatever the batch; BLAS does not
            margin = np.einsum("ij,j->i", matrix.astype(np.float64), self.scorer[:-1]) + self.scorer[-1]
        probabilities: Probabilities = 1.0 / (1.0 + np.exp(-(margin + self.shift)))
        return probabilities

    def save(self, folder: Path) -> None:
        """Write the files of the model into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        content: dict[str, Any] = {
            "format": FORMAT,
            "kind": self.kind,
            "encoder": self.encoder.to_json(),
            "shift": self.shift,
            "threshold": self.threshold,
            "metadata": msgspec.to_builtins(self.metadata),
            "sha256": {},
        }
        parity = {"rows": list(self.parity.rows), "probabilities": list(self.parity.probabilities)}
        (folder / PARITY).write_text(json.dumps(parity))
        content["sha256"][PARITY] = sha256_of((folder / PARITY).read_bytes())
        if self.reference is not None:
            (folder / REFERENCE).write_text(json.dumps(self.reference.to_json()))
            content["sha256"][REFERENCE] = sha256_of((folder / REFERENCE).read_bytes())
        if isinstance(self.scorer, xgboost.Booster):
            self.scorer.save_model(folder / BOOSTER)
            content["sha256"][BOOSTER] = sha256_of((folder / BOOSTER).read_bytes())
        else:
            content["coefficients"] = self.scorer.tolist()
        (folder / MODEL).write_text(json.dumps(content, indent=1, sort_keys=True))

    @classmethod
    def load(cls, folder: Path, threads: int = 1) -> "ModelArtifact":
        """Read a model, checking what it records of its files. Raises IntegrityError."""
        content = json.loads(_read(folder, MODEL))
        if content.get("format") != FORMAT:
            raise IntegrityError(f"{folder / MODEL} has format {content.get('format')}, not {FORMAT}: train it anew")
        for name in [PARITY, BOOSTER] if content["kind"] == "xgboost" else [PARITY]:
            _check(folder, name, content["sha256"])
        scorer: xgboost.Booster | NDArray[np.float64]
        if content["kind"] == "xgboost":
            scorer = xgboost.Booster()
            scorer.load_model(folder / BOOSTER)
            scorer.set_param({"nthread": threads})
        else:
            scorer = np.asarray(content["coefficients"], dtype=np.float64)
        parity = json.loads(_read(folder, PARITY))
        return cls(
            kind=content["kind"],
            encoder=Encoder.from_json(content["encoder"]),
            scorer=scorer,
            shift=content["shift"],
            threshold=content["threshold"],
            metadata=_metadata(folder, content["metadata"]),
            parity=Parity(parity["rows"], parity["probabilities"]),
        )


def _metadata(folder: Path, content: object) -> ModelMetadata:
    try:
        return msgspec.convert(content, ModelMetadata)
    except msgspec.ValidationError as error:
        raise IntegrityError(f"the metadata in {folder / MODEL} is not what a training writes: restore it") from error


def check_files(folder: Path) -> None:
    """See that every file of a saved model is there and what it was. Raises IntegrityError."""
    recorded = json.loads(_read(folder, MODEL))["sha256"]
    for name in recorded:
        _check(folder, name, recorded)


def load_reference(folder: Path) -> ReferenceProfile:
    """What a saved model was trained on. Raises IntegrityError, DataError for a model that has none."""
    recorded = json.loads(_read(folder, MODEL))["sha256"]
    if REFERENCE not in recorded:
        raise DataError(f"the model in {folder} was trained before models kept what they were trained on: train anew")
    return ReferenceProfile.from_json(json.loads(_check(folder, REFERENCE, recorded)))


def sha256_of(content: bytes) -> str:
    """Hexadecimal sha256."""
    return hashlib.sha256(content).hexdigest()


def _check(folder: Path, name: str, recorded: Mapping[str, str]) -> bytes:
    """A file's content, if it is what was recorded. Raises IntegrityError."""
    content, expected = _read(folder, name), recorded.get(name, "")
    if sha256_of(content) != expected:
        raise IntegrityError(f"{folder / name} is not what {MODEL} records (sha256 {expected}): restore it")
    return content


def _read(folder: Path, name: str) -> bytes:
    try:
        return (folder / name).read_bytes()
    except FileNotFoundError as error:
        raise IntegrityError(f"{folder} is no model: it has no {name}") from error
