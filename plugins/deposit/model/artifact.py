"""A trained model as data: JSON and XGBoost's own format with checksums, never a pickle."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from deposit.errors import DataError, IntegrityError
from deposit.model.encoder import Encoder, Matrix
from deposit.model.mixture import Mixture, linear_log_odds
from deposit.model.reference import ReferenceProfile

if TYPE_CHECKING:
    import xgboost

    Scorer = Mixture | xgboost.Booster | NDArray[np.float64]

MODEL, BOOSTER, PARITY, REFERENCE = "model.json", "booster.ubj", "parity.json", "reference.json"
FORWARD = "forward.json"
FORMATS = {"xgboost": 1, "logistic": 1, "mixture": 2}
"""Format version of the files, by kind: code that reads mixtures also reads single models, but not the reverse."""
Labels = NDArray[np.int8]
Probabilities = NDArray[np.float64]


class Provenance(msgspec.Struct, frozen=True, kw_only=True):
    """Origin of a training run; a field is empty if it was not recorded.

    Args:
        dataset: dataset version.
        training_key: equal for training runs that produce the same models.
        revision: git commit of the code.
        lock_sha256: sha256 of uv.lock.
        created: time of the training, UTC in ISO format.
        ingested: time at which the dataset version was published, UTC in ISO format.
        excluded_periods: months of the dataset that were left out because of broken data.
    """

    dataset: str = ""
    training_key: str = ""
    revision: str = ""
    lock_sha256: str = ""
    created: str = ""
    ingested: str = ""
    excluded_periods: tuple[str, ...] = msgspec.field(default=(), name="left_out")


class ModelMetadata(Provenance, frozen=True, kw_only=True):
    """Origin of a model, and its training and test windows; months are YYYY-MM, and the last one is included.

    Args:
        recipe: settings of the fit, by name.
        development_rows: number of rows that the model was fitted on.
        development_rate: share of these rows that subscribed.
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
    """Real rows (values in the order of `NAMES`) and the probabilities that the training process computed for them."""

    rows: Sequence[Sequence[Any]]
    probabilities: Sequence[float]


class ForwardMonth(msgspec.Struct, frozen=True):
    """Predictions of one month by the mixture of its time, fitted on the labelled months before (rolling origin).

    Args:
        period: month, YYYY-MM.
        digest: digest of the month's rows, whose order `probabilities` has.
        threshold: decision threshold of that time.
        probabilities: probability of each row.
    """

    period: str
    digest: str
    threshold: float
    probabilities: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class ModelArtifact:
    """Encoder, scorer, calibration and threshold: the unit that is evaluated, registered, packaged and served.

    Args:
        kind: type of the scorer; models of a single recipe come from earlier versions.
        encoder: turns customers into the scorer's matrix.
        scorer: mixture, booster, or coefficients of the logistic regression with the intercept last.
        shift: calibration, added to the log-odds.
        threshold: probability from which a customer `subscribes`.
        metadata: origin of the model; empty until training has finished.
        parity: rows that every process serving this model must score alike.
        reference: profile of the training rows, for monitoring; stored in a file that serving does not read.
        forward: rolling-origin predictions, for the gate; stored in a file that serving does not read.
    """

    kind: Literal["xgboost", "logistic", "mixture"]
    encoder: Encoder
    scorer: "Scorer" = field(repr=False)
    shift: float
    threshold: float
    metadata: ModelMetadata = field(default_factory=ModelMetadata)
    parity: Parity = field(repr=False, default_factory=lambda: Parity([], []))
    reference: ReferenceProfile | None = field(repr=False, default=None)
    forward: tuple[ForwardMonth, ...] = field(repr=False, default=())

    def probabilities(self, matrix: Matrix) -> Probabilities:
        """Probability of a subscription for each row of an encoded matrix, shape (n,)."""
        if isinstance(self.scorer, Mixture):
            margin = self.scorer.log_odds(matrix)
        elif isinstance(self.scorer, np.ndarray):
            margin = linear_log_odds(self.scorer, matrix)
        else:
            margin = self.scorer.inplace_predict(matrix, predict_type="margin").astype(np.float64)
        probabilities: Probabilities = 1.0 / (1.0 + np.exp(-(margin + self.shift)))
        return probabilities

    def _trees(self) -> "xgboost.Booster | None":
        if isinstance(self.scorer, Mixture):
            return self.scorer.forest
        return None if isinstance(self.scorer, np.ndarray) else self.scorer

    def save(self, folder: Path) -> None:
        """Write the model's files into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        content: dict[str, Any] = {
            "format": FORMATS[self.kind],
            "kind": self.kind,
            "encoder": self.encoder.to_json(),
            "shift": self.shift,
            "threshold": self.threshold,
            "metadata": msgspec.to_builtins(self.metadata),
            "sha256": {},
        }
        parity = {"rows": list(self.parity.rows), "probabilities": list(self.parity.probabilities)}
        files = {PARITY: json.dumps(parity).encode()}
        if self.reference is not None:
            files[REFERENCE] = json.dumps(self.reference.to_json()).encode()
        if self.forward:
            files[FORWARD] = msgspec.json.encode(self.forward)
        if isinstance(self.scorer, Mixture):
            content["mixture"] = self.scorer.to_json()
        elif isinstance(self.scorer, np.ndarray):
            content["coefficients"] = self.scorer.tolist()
        if (trees := self._trees()) is not None:
            files[BOOSTER] = bytes(trees.save_raw("ubj"))
        for name, data in files.items():
            (folder / name).write_bytes(data)
            content["sha256"][name] = sha256_of(data)
        (folder / MODEL).write_text(json.dumps(content, indent=1, sort_keys=True))

    @classmethod
    def load(cls, folder: Path, threads: int = 1) -> "ModelArtifact":
        """Load a model and verify the checksums of its files. Raises IntegrityError."""
        content = json.loads(_read(folder, MODEL))
        kind = content.get("kind")
        if content.get("format") != FORMATS.get(kind):
            raise IntegrityError(f"{folder / MODEL} has format {content.get('format')} for {kind!r}: train it again")
        recorded, has_trees = content["sha256"], kind == "xgboost" or BOOSTER in content["sha256"]
        for name in [PARITY, BOOSTER] if has_trees else [PARITY]:
            _check(folder, name, recorded)
        encoder, parity = Encoder.from_json(content["encoder"]), json.loads(_read(folder, PARITY))
        return cls(
            kind=kind,
            encoder=encoder,
            scorer=_scorer(content, encoder, _read_trees(folder, threads) if has_trees else None),
            shift=content["shift"],
            threshold=content["threshold"],
            metadata=_metadata(folder, content["metadata"]),
            parity=Parity(parity["rows"], parity["probabilities"]),
        )


def _read_trees(folder: Path, threads: int) -> "xgboost.Booster":
    import xgboost  # loads scikit-learn and SciPy, which most importers of this module do not need

    trees = xgboost.Booster()
    trees.load_model(folder / BOOSTER)
    trees.set_param({"nthread": threads})
    return trees


def _scorer(content: Mapping[str, Any], encoder: Encoder, trees: "xgboost.Booster | None") -> "Scorer":
    if content["kind"] == "mixture":
        return Mixture.from_json(content["mixture"], encoder, trees)
    return np.asarray(content["coefficients"], dtype=np.float64) if trees is None else trees


def _metadata(folder: Path, content: object) -> ModelMetadata:
    try:
        return msgspec.convert(content, ModelMetadata)
    except msgspec.ValidationError as error:
        raise IntegrityError(f"the metadata in {folder / MODEL} is not what a training writes: restore it") from error


def check_files(folder: Path) -> None:
    """Verify that every file of a saved model exists and has its recorded checksum. Raises IntegrityError."""
    for name in (recorded := json.loads(_read(folder, MODEL))["sha256"]):
        _check(folder, name, recorded)


def load_reference(folder: Path) -> ReferenceProfile:
    """Load the reference profile of a saved model. Raises IntegrityError, or DataError if the model has none."""
    recorded = json.loads(_read(folder, MODEL))["sha256"]
    if REFERENCE not in recorded:
        raise DataError(f"the model in {folder} was trained before models kept a reference profile: train it again")
    return ReferenceProfile.from_json(json.loads(_check(folder, REFERENCE, recorded)))


def load_forward(folder: Path) -> tuple[ForwardMonth, ...]:
    """Load a saved model's rolling-origin predictions; none if an earlier version saved it. Raises IntegrityError."""
    recorded = json.loads(_read(folder, MODEL))["sha256"]
    if FORWARD not in recorded:
        return ()
    return msgspec.json.decode(_check(folder, FORWARD, recorded), type=tuple[ForwardMonth, ...])


def sha256_of(content: bytes) -> str:
    """Hexadecimal sha256."""
    return hashlib.sha256(content).hexdigest()


def _check(folder: Path, name: str, recorded: Mapping[str, str]) -> bytes:
    """Read a file and verify its recorded checksum. Raises IntegrityError."""
    content, expected = _read(folder, name), recorded.get(name, "")
    if sha256_of(content) != expected:
        raise IntegrityError(f"{folder / name} is not what {MODEL} records (sha256 {expected}): restore it")
    return content


def _read(folder: Path, name: str) -> bytes:
    try:
        return (folder / name).read_bytes()
    except FileNotFoundError as error:
        raise IntegrityError(f"{folder} is not a model: it has no {name}") from error
