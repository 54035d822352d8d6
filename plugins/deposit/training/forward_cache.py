"""Content-addressed cache of rolling-origin scores and tuning results: a new month costs only its own scoring.

Losing the cache costs only time: missing or damaged entries are recomputed.
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
"""Source files that a member's predictions depend on."""


class ForwardCache:
    """Cache entries as objects under `forward/` of a bucket; without a bucket, in memory."""

    def __init__(self, bucket: Bucket | None = None) -> None:
        self._bucket = bucket
        self._objects: dict[str, bytes] = {}

    def read(self, key: str, rows: int) -> dict[str, Values]:
        """Log-odds of a month's rows by member key, shape (rows,) each; damaged values are dropped."""
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
        """Store a month's log-odds; of concurrent writes, one is kept."""
        content = io.BytesIO()
        np.savez(content, allow_pickle=False, **log_odds)
        self._put(f"{key}.npz", content.getvalue())

    def read_tuning(self, key: str) -> TuningResult | None:
        """A cached tuning result; None if it is missing or damaged."""
        content = self._get(f"{key}.json")
        try:
            return None if content is None else msgspec.json.decode(content, type=TuningResult)
        except msgspec.DecodeError:
            return None

    def write_tuning(self, key: str, result: TuningResult) -> None:
        """Store a tuning result."""
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
    """Digest of each month's rows, regardless of their ids."""
    return {period: version_of(rows.assign(id=0)) for period, rows in months.items()}


def content_key(digests: Mapping[str, str], labelled: Sequence[str], *rest: object) -> str:
    """Cache key of labelled rows, code and libraries; `rest` holds whatever else the result depends on."""
    content = [[digests[period] for period in labelled], [str(each) for each in rest], _code(), libraries()]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:32]


def member_key(recipe: Recipe, trees: object, seed: int) -> str:
    """Cache key of a member: equal for members that are fitted alike, whatever their names."""
    content: dict[str, object] = {**asdict(recipe), "name": ""}
    if recipe.family == "xgboost":  # the other families use neither
        content |= {"trees": str(trees), "seed": seed}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]


@cache
def _code() -> str:
    package = Path(__file__).resolve().parents[1]
    return code_digest((package / name).read_text() for name in _CODE)
