"""A process that scores as `deposit score` does, with a model of a folder in the registry's place, to be killed."""

import sys
from pathlib import Path

from deposit.model.artifact import ModelArtifact
from deposit.registry.registry import ModelRegistry
from deposit.registry.versions import Version
from deposit.scoring import batch_scoring
from deposit.scoring.score import ScoreRequest, score
from deposit.settings import load_settings

RUN_ROWS = 4000
"""Fewer than there are in production, so that a few thousand rows make many steps."""


def main(folder: str, source: str, output: str) -> None:
    """Score `source` by the model in `folder`, as `deposit-v1`."""
    version = Version("deposit-v1", 1, "run", "2026", "d", {}, ("champion",))
    setattr(ModelRegistry, "champion", lambda _: version)  # noqa: B010
    setattr(ModelRegistry, "load", lambda *_: ModelArtifact.load(Path(folder)))  # noqa: B010
    setattr(batch_scoring, "RUN_ROWS", RUN_ROWS)  # noqa: B010
    score(load_settings(), ScoreRequest(source, output))


if __name__ == "__main__":
    main(*sys.argv[1:])
