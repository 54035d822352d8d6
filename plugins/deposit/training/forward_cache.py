"""What was scored or tuned before, kept by what it was made from: a month's training costs that month alone.

Losing it loses time and nothing else; what is damaged is made again.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd

from deposit.data.dataset import version_of
from deposit.errors import SourceError
from deposit.model.mixture import Values
from deposit.store import Bucket
from deposit.training.history import code_digest, libraries
from deposit.training.recipes import Recipe
from deposit.training.search import TuningResult

PREFIX = "forward/"
_CODE = ("data/columns.py", "model/encoder.py", "model/mixture.py", "training/fitting.py", "training/search.py")
"""What makes a member's numbers."""


class ForwardCache:
    """Objects under `forward/` of a bucket; without one, in memory."""

    def __init__(self, bucket: Bucket | None = None) -> None:
        self._bucket = bucket
        self._objects: dict[str, bytes] = {}

    def read(self, key: str, rows: int) -> dict[str, Values]:
        """Log-odds of a month's rows by member, each of shape (rows,)."""
        content = self._get(f"{key}.npz")
        if content is None:
            return {}
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as stored:
                values = {name: stored[name] for name in stored.files}
        except (ValueError, OSError, zipfile.BadZipFile):
            return {}
        return {name: each for name, each in values.items() if each.shape == (rows,) and np.isfinite(each).all()}

    def write(self, key: str, log_odds: Mapping[str, Values]) -> None:
        """Keep them; of two that write at once, one is kept."""
        content = io.BytesIO()
        np.savez(content, allow_pickle=False, **log_odds)
        self._put(f"{key}.npz", content.getvalue())

    def read_tuning(self, key: str) -> TuningResult | None:
        """A search for trees that was made before."""
        content = self._get(f"{key}.json")
        try:
            return None if content is None else msgspec.json.decode(content, type=TuningResult)
        except msgspec.DecodeError:
            return None

    def write_tuning(self, key: str, result: TuningResult) -> None:
        """Keep it."""
        self._put(f"{key}.json", msgspec.json.encode(result))

    def _get(self, name: str) -> bytes | None:
        if self._bucket is None:
            return self._objects.get(name)
        try:
            return self._bucket.get(f"{PREFIX}{name}")
        except SourceError:
            return None

    def _put(self, name: str, content: bytes) -> None:
        if self._bucket is None:
            self._objects[name] = content
        else:
            self._bucket.put(f"{PREFIX}{name}", content)


def month_digests(months: Mapping[str, pd.DataFrame]) -> dict[str, str]:
    """The content of each month's rows, whatever their ids."""
    return {period: version_of(rows.assign(id=0)) for period, rows in months.items()}


def content_key(digests: Mapping[str, str], labelled: Sequence[str], *rest: object) -> str:
    """The same for what is made of the same rows by the same code and libraries; `rest` is what else matters."""
    content = [[digests[period] for period in labelled], [str(each) for each in rest], _code(), libraries()]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:32]


def member_key(recipe: Recipe, trees: object, seed: int) -> str:
    """The same for a member that is fitted alike, whatever its name."""
    content: dict[str, object] = {**asdict(recipe), "name": ""}
    if recipe.family == "xgboost":  # the others are fitted without either
        content |= {"trees": str(trees), "seed": seed}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]


@cache
def _code() -> str:
    package = Path(__file__).resolve().parents[1]
    return code_digest((package / name).read_text() for name in _CODE)
