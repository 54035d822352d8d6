"""Package a registered model as a Bento with the model baked in, and upload it to the object store."""

import ast
import hashlib
import json
import lzma
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache, lru_cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from packaging.requirements import Requirement

from deposit.errors import ReleaseError
from deposit.progress import Progress, log_progress
from deposit.sections import StoreSettings
from deposit.settings import REPOSITORY
from deposit.store import ObjectStore

if TYPE_CHECKING:
    from deposit.registry.registry import ModelRegistry
    from deposit.registry.versions import Version


_CODE = "code.sha256"
"""File of a Bento with the digest of the code that it was packaged with."""


@dataclass(frozen=True)
class PackagedBento:
    """A Bento in the object store; `sha256` is the digest of its archive."""

    tag: str
    uri: str
    sha256: str


def package(
    store: StoreSettings,
    state_dir: Path,
    registry: "ModelRegistry",
    version: "Version",
    card: bytes | None,
    progress: Progress = log_progress,
) -> PackagedBento:
    """Package a model version and its card. It is built only once for the same model, card and code.

    Raises ReleaseError if BentoML cannot build it, UpstreamError if MLflow or the store does not answer.
    """
    bucket = ObjectStore(store).bentos
    state_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="package-", dir=state_dir) as folder:
        work = Path(folder)
        progress(f"fetching {version.model_id} from MLflow")
        _model_folder(registry, version, card, work / "model")
        tag = f"{registry.name}:v{version.version}"
        write_context(work / "context", tag)
        digest = _digest(work)
        key = f"{registry.name}/{version.model_id}-{digest[:12]}.bento"
        if not bucket.exists(key):
            progress(f"building the Bento {tag}")
            bucket.put_if_absent(key, built(work, tag))
        # read back: of two concurrent builds one wins, and both use its bytes
        content = bucket.get(key)
    progress(f"packaged {tag} as {bucket.uri(key)} ({len(content)} bytes)")
    return PackagedBento(tag, bucket.uri(key), hashlib.sha256(content).hexdigest())


def _model_folder(registry: "ModelRegistry", version: "Version", card: bytes | None, folder: Path) -> None:
    folder.mkdir()
    registry.download(version, folder)
    # without the aliases: they change, and the digest of the package must not
    metadata = {name: value for name, value in asdict(version).items() if name != "aliases"}
    (folder / "release.json").write_text(json.dumps(metadata, default=str, sort_keys=True, indent=1))
    if card is not None:
        (folder / "card.html").write_bytes(card)


def write_context(context: Path, tag: str) -> None:
    """Write the build context of a Bento to a folder: everything except the model."""
    files, requirements = source_files(), pinned_requirements()
    for name, path in files.items():
        target = context / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    (context / "requirements.json").write_text(json.dumps(requirements))
    (context / _CODE).write_text(_code_digest(files, requirements))
    (context / "model.tag").write_text(tag + "\n")


def code_digest() -> str:
    """Return the sha256 of everything in a new Bento except the model: the code of the service and its requirements."""
    return _code_digest(source_files(), pinned_requirements())


def _code_digest(files: Mapping[str, Path], requirements: Sequence[str]) -> str:
    digest = hashlib.sha256(json.dumps(requirements).encode())
    for name, path in sorted(files.items()):
        _add(digest, name, path.read_bytes())
    return digest.hexdigest()


def packaged_code(archive: Path) -> str | None:
    """Return the `code_digest` that a Bento was packaged with; None if it is from before that was recorded."""
    with tarfile.open(archive) as bento:
        for member in bento:
            if PurePosixPath(member.name).parts[-2:] == ("src", _CODE) and (content := bento.extractfile(member)):
                return content.read().decode()
    return None


def _digest(work: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(path for path in work.rglob("*") if path.is_file()):
        _add(digest, str(path.relative_to(work)), path.read_bytes())
    return digest.hexdigest()


def _add(digest: "hashlib._Hash", name: str, content: bytes) -> None:
    digest.update(f"{name}\0{len(content)}\0".encode() + content)


def built(work: Path, tag: str) -> bytes:
    """Build a Bento from the folders `context` and `model` in `work`, and return its archive. Raises ReleaseError."""
    archive = work / "out.bento"
    command = [sys.executable, "-m", "deposit.release.packaging"]
    command += [str(work / "context"), str(work / "model"), tag, str(archive)]
    # a minimal environment: the build needs no secrets, and the service module must read default settings at import
    environment = {
        "PATH": os.defpath, "HOME": str(work), "BENTOML_HOME": str(work / "home"), "BENTOML_DO_NOT_TRACK": "true",
        "PYTHONPATH": str(PACKAGE.parent), "PYTHONDONTWRITEBYTECODE": "1",
    }  # fmt: skip
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode or not archive.is_file():
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise ReleaseError(f"BentoML could not build {tag}: {last}")
    return archive.read_bytes()


def build(context: Path, model: Path, tag: str, archive: Path) -> None:
    """Create the BentoML model `tag` from a folder, build the Bento `tag` with it, and export that to `archive`."""
    # imported here: only the build process needs BentoML
    import bentoml
    from bentoml._internal import configuration

    # BentoML looks for uv to lock requirements, or downloads it; ours are locked, so uv is never run
    configuration.get_uv_command = lambda: ["uv"]  # type: ignore[assignment]
    name, version = tag.split(":")
    with bentoml.models.create(tag) as stored:
        shutil.copytree(model, stored.path, dirs_exist_ok=True)
    requirements = json.loads((context / "requirements.json").read_text())
    bento = bentoml.build(
        "service.py:Deposit",
        name=name,
        version=version,
        build_ctx=str(context),
        include=["*.py", "*.md", "model.tag", _CODE, "serving/static/**"],
        models=[tag],
        python={"packages": requirements, "lock_packages": False},
    )
    # xz like BentoML's own export, at a lower preset: a seventh of the work for a file larger by a fifth
    plain = bento.export(str(archive.with_suffix(".tar")), output_format="tar")
    with Path(plain).open("rb") as content, lzma.open(archive, "wb", preset=0) as target:
        shutil.copyfileobj(content, target)


if __name__ == "__main__":
    build(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], Path(sys.argv[4]))


PACKAGE = Path(__file__).resolve().parents[1]
SERVICE = REPOSITORY / "bento"
_PROJECT = REPOSITORY / "pyproject.toml"


def source_files() -> dict[str, Path]:
    """Return the files of the Bento by their path in it: all of `bento/`, and the modules of `deposit` it imports."""
    files = {
        str(path.relative_to(SERVICE)): path
        for pattern in ("README.md", "*.py", "serving/**/*.py", "serving/static/**/*")
        for path in sorted(SERVICE.glob(pattern))
        if path.is_file()
    }
    wanted = [path for path in files.values() if path.suffix == ".py"]
    while wanted:
        for path in _imported(wanted.pop().read_text()):
            name = str(path.relative_to(PACKAGE.parent))
            if name not in files:
                files[name] = path
                wanted.append(path)
    return files


@cache
def pinned_requirements() -> tuple[str, ...]:
    """Return `name==version` of the group `serving` and its transitive dependencies, as installed from the lock."""
    pins: dict[str, str] = {}
    wanted = [Requirement(line) for line in tomllib.loads(_PROJECT.read_text())["dependency-groups"]["serving"]]
    while wanted:
        requirement = wanted.pop()
        try:
            installed = distribution(requirement.name)
        except PackageNotFoundError:
            continue  # not installed in this environment, like the GPU libraries of XGBoost
        name = installed.metadata["Name"].lower().replace("_", "-")
        if name not in pins:
            pins[name] = f"{name}=={installed.version}"
            wanted += _needs(installed.requires or [], requirement.extras)
    return tuple(sorted(pins.values()))


def _needs(lines: list[str], extras: set[str]) -> Iterator[Requirement]:
    for line in lines:
        requirement = Requirement(line)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield requirement


@lru_cache(maxsize=1024)
def _imported(source: str) -> tuple[Path, ...]:
    """Return the files of `deposit` that the source of a module imports."""
    names: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
    return tuple(path for name in names for path in _modules(name))


def _modules(name: str) -> Iterator[Path]:
    """Yield the file of a `deposit` module, and the `__init__.py` of each parent package."""
    parts = name.split(".")
    if parts[0] != PACKAGE.name:
        return
    for depth in range(len(parts)):
        folder = PACKAGE.joinpath(*parts[1 : depth + 1])
        for path in (folder / "__init__.py", folder.with_suffix(".py")):
            if path.is_file():
                yield path
