"""Inputs of all peers: real rows, the same recipe trained twice, a Bento, and request bodies."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder
from xgboost import XGBClassifier

from deposit.data import ingest, sources
from deposit.data.columns import CATEGORIES, NAMES
from deposit.model.artifact import ModelArtifact, ModelMetadata, Parity
from deposit.progress import log_progress
from deposit.release.packaging import built, write_context
from deposit.release.targets.image import unpack
from deposit.sections import IngestSettings
from deposit.training.fitting import EncodedRows, fit, mix
from deposit.training.recipes import Recipe, Trees

TAG = "deposit:bench"
BODIES = {1: 400, 100: 40}
"""Number of different bodies by rows per body; they are sent in rotation."""
RECIPE = Trees()


@dataclass(frozen=True)
class Materials:
    """Paths of the inputs.

    Args:
        model: folder of the product's model artifact.
        bento: folder of the product's unpacked Bento with that model.
        pipeline: joblib file of the scikit-learn pipeline with the same recipe.
        store: BentoML home with the pipeline in its model store.
        customers: real rows in the form of a request, more than any body needs.
    """

    folder: Path
    model: Path
    bento: Path
    pipeline: Path
    store: Path
    customers: list[dict[str, Any]]

    @classmethod
    def make(cls, folder: Path) -> "Materials":
        """Train the models and build the Bento, which takes about 15 s."""
        frame = ingest.check(sources.fetch(IngestSettings(), folder, log_progress), log_progress).good
        labels = frame["y"].to_numpy(dtype=np.int8)
        made = cls(
            folder,
            folder / "work" / "model",
            folder / "bento",
            folder / "pipeline.joblib",
            folder / "store",
            [dict(zip(NAMES, row, strict=True)) for row in frame[list(NAMES)].head(4000).itertuples(index=False)],
        )
        made._train_artifact(frame, labels)
        made._package()
        made._train_pipeline(frame, labels)
        for rows in BODIES:
            made.bodies(rows).write_text("\n".join(made._bodies(rows)) + "\n")
        return made

    def bodies(self, rows: int) -> Path:
        """Path of the file with request bodies of `rows` rows, one body per line."""
        return self.folder / f"bodies-{rows}.jsonl"

    def table(self, rows: int) -> Path:
        """Path of a CSV file with `rows` customers, repeating the real ones; written on the first call."""
        path = self.folder / f"customers-{rows}.csv"
        if not path.exists():
            lines = pd.DataFrame(self.customers).to_csv(sep=";", index=False).encode().splitlines(keepends=True)
            whole, rest = divmod(rows, len(lines) - 1)
            with path.open("wb") as file:
                file.write(lines[0])
                file.writelines([b"".join(lines[1:])] * whole + [b"".join(lines[1 : rest + 1])])
        return path

    def _train_artifact(self, frame: pd.DataFrame, labels: Any) -> None:
        learned = EncodedRows.of(frame.assign(y=labels, period="2010-11"))
        encoder = learned.encoder
        mixture = mix([fit(Recipe("xgboost", "xgboost"), learned, RECIPE, seed=7)], {"xgboost": 1.0}, encoder)
        artifact = ModelArtifact("mixture", encoder, mixture, 0.0, 0.5, ModelMetadata(dataset="bundled"))
        rows = frame[list(NAMES)].head(200).to_numpy(dtype=object).tolist()
        parity = Parity(rows, artifact.probabilities(encoder.encode_rows(rows)).tolist())
        ModelArtifact(**{**vars(artifact), "parity": parity}).save(self.model)
        release = {"model_id": "deposit-v1", "version": 1, "metrics": {}, "created": "", "dataset": "bundled"}
        (self.model / "release.json").write_text(json.dumps(release))

    def _package(self) -> None:
        work = self.folder / "work"
        write_context(work / "context", TAG)
        archive = self.folder / "deposit.bento"
        archive.write_bytes(built(work, TAG))
        unpack(archive, self.bento)

    def _train_pipeline(self, frame: pd.DataFrame, labels: Any) -> None:
        encoder = ColumnTransformer(
            [("categories", OneHotEncoder(handle_unknown="ignore"), list(CATEGORIES))], remainder="passthrough"
        )
        classifier = XGBClassifier(
            n_estimators=RECIPE.trees, max_depth=RECIPE.depth, learning_rate=RECIPE.eta,
            min_child_weight=RECIPE.min_child_weight, reg_lambda=RECIPE.l2, n_jobs=1,
        )  # fmt: skip
        features = frame[list(NAMES)].astype(dict.fromkeys(CATEGORIES, object))
        joblib.dump(Pipeline([("encode", encoder), ("classify", classifier)]).fit(features, labels), self.pipeline)
        # in a child process, because BentoML reads its home from the environment only once
        save = (
            f"import bentoml, joblib; bentoml.sklearn.save_model('bank_marketing', joblib.load({str(self.pipeline)!r}))"
        )
        environment = {"PATH": os.defpath, "BENTOML_HOME": str(self.store), "BENTOML_DO_NOT_TRACK": "true"}
        subprocess.run(
            [sys.executable, "-c", save, str(self.pipeline)], env=environment, check=True, stdout=subprocess.DEVNULL
        )

    def _bodies(self, rows: int) -> list[str]:
        starts = range(0, rows * BODIES[rows], rows)
        return [json.dumps({"customers": self.customers[start : start + rows]}) for start in starts]
