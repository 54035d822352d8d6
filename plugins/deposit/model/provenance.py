"""Where a model comes from: revision, lock, code and the key that makes a training repeatable."""

import hashlib
import json
import subprocess
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from deposit.sections import TrainSettings
from deposit.settings import REPOSITORY, Settings

_CODE = ("data/columns.py", "model/*.py")
_LIBRARIES = ("numpy", "optuna", "scikit-learn", "xgboost-cpu")


def revision(settings: Settings) -> str:
    """The git commit of the code, `-dirty` with uncommitted changes; `unknown` outside a repository."""
    if settings.revision:
        return settings.revision
    commit = _git("rev-parse", "HEAD")
    if not commit:
        return "unknown"
    return f"{commit}-dirty" if _git("status", "--porcelain") else commit


def lock_sha256() -> str:
    """The sha256 of uv.lock; `absent` where the package was installed without the repository."""
    path = REPOSITORY / "uv.lock"
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "absent"


def training_key(dataset: str, left_out: Sequence[str], settings: TrainSettings) -> str:
    """The same for two trainings that would give the same models: data, settings, code and libraries alike."""
    package = Path(__file__).resolve().parents[1]
    files = sorted(path for pattern in _CODE for path in package.glob(pattern))
    code = hashlib.sha256(b"".join(hashlib.sha256(path.read_bytes()).digest() for path in files)).hexdigest()
    content = [dataset, sorted(left_out), settings.model_dump(mode="json"), lock_sha256(), code, libraries()]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]


def settings_key(settings: TrainSettings) -> str:
    """The same for two trainings with the same settings, whatever else they differ in."""
    return hashlib.sha256(settings.model_dump_json().encode()).hexdigest()[:32]


def libraries() -> list[str]:
    """The installed libraries that a model's numbers hang on, as requirements."""
    return [f"{name}=={version(name)}" for name in _LIBRARIES]


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(REPOSITORY), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:  # no git on this machine
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
