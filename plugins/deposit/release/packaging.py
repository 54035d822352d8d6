"""Package a registered model as a Bento with the model baked in, and put it into the object store."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from deposit.errors import ReleaseError
from deposit.model import registry
from deposit.model.registry import Version
from deposit.progress import Progress, log_progress
from deposit.release.sources import PACKAGE, pinned_requirements, source_files
from deposit.settings import Settings
from deposit.store import ObjectStore


@dataclass(frozen=True)
class PackagedBento:
    """A Bento in the object store; `sha256` is the archive's."""

    tag: str
    uri: str
    sha256: str


def package(settings: Settings, version: Version, progress: Progress = log_progress) -> PackagedBento:
    """The Bento of a model version; the same model and code give the same object, built once.

    Raises ReleaseError if BentoML cannot build it, UpstreamError if MLflow or the store does not answer.
    """
    store = ObjectStore(settings.store)
    settings.state_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="package-", dir=settings.state_dir) as folder:
        work = Path(folder)
        progress(f"fetching {version.model_id} from MLflow")
        _model_folder(settings, version, work / "model")
        tag = f"{settings.mlflow.model_name}:v{version.version}"
        write_context(work / "context", tag)
        digest = _digest(work)
        key = f"{settings.mlflow.model_name}/{version.model_id}-{digest[:12]}.bento"
        bucket = settings.store.bentos_bucket
        if not store.exists(bucket, key):
            progress(f"building the Bento {tag}")
            store.put_if_absent(bucket, key, built(work, tag))
        # read back: of two that build at once one wins, and its bytes count
        content = store.get(bucket, key)
    progress(f"packaged {tag} as s3://{bucket}/{key} ({len(content)} bytes)")
    return PackagedBento(tag, f"s3://{bucket}/{key}", hashlib.sha256(content).hexdigest())


def _model_folder(settings: Settings, version: Version, folder: Path) -> None:
    folder.mkdir()
    registry.download(settings, version, folder)
    # aliases move; what is packaged must not change with them
    facts = {name: value for name, value in asdict(version).items() if name != "aliases"}
    (folder / "release.json").write_text(json.dumps(facts, default=str, sort_keys=True, indent=1))


def write_context(context: Path, tag: str) -> None:
    """Everything of a Bento but the model, into a folder."""
    for name, path in source_files().items():
        target = context / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    (context / "model.tag").write_text(tag + "\n")
    (context / "requirements.json").write_text(json.dumps(pinned_requirements()))


def _digest(work: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(path for path in work.rglob("*") if path.is_file()):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(work)}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def built(work: Path, tag: str) -> bytes:
    """The archive of the Bento from the folders `context` and `model` in `work`. Raises ReleaseError."""
    archive = work / "out.bento"
    command = [sys.executable, "-m", "deposit.release.build"]
    command += [str(work / "context"), str(work / "model"), tag, str(archive)]
    # no secret is needed to build; what the service module reads at import must come from defaults
    environment = {
        "PATH": os.defpath, "HOME": str(work), "BENTOML_HOME": str(work / "home"), "BENTOML_DO_NOT_TRACK": "true",
        "PYTHONPATH": str(PACKAGE.parent), "PYTHONDONTWRITEBYTECODE": "1",
    }  # fmt: skip
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode or not archive.is_file():
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise ReleaseError(f"BentoML could not build {tag}: {last}")
    return archive.read_bytes()
