"""What a Bento carries of this repository: the service's files, the modules they import, the pinned packages."""

import ast
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

from deposit.settings import REPOSITORY

PACKAGE = Path(__file__).resolve().parents[1]
SERVICE = REPOSITORY / "bento"
_PROJECT = REPOSITORY / "pyproject.toml"


def source_files() -> dict[str, Path]:
    """Files of the Bento by their path in it: `bento/` whole, of `deposit` only what it imports, at any depth."""
    files = {
        str(path.relative_to(SERVICE)): path
        for pattern in ("README.md", "*.py", "serving/**/*.py", "serving/static/**/*")
        for path in sorted(SERVICE.glob(pattern))
        if path.is_file()
    }
    wanted = [path for path in files.values() if path.suffix == ".py"]
    while wanted:
        for path in _imported(wanted.pop()):
            name = str(path.relative_to(PACKAGE.parent))
            if name not in files:
                files[name] = path
                wanted.append(path)
    return files


def pinned_requirements() -> list[str]:
    """`name==version` of the group `serving`, with all that these need in turn, as installed here from the lock."""
    pins: dict[str, str] = {}
    wanted = [Requirement(line) for line in tomllib.loads(_PROJECT.read_text())["dependency-groups"]["serving"]]
    while wanted:
        requirement = wanted.pop()
        try:
            found = distribution(requirement.name)
        except PackageNotFoundError:
            continue  # an alternative that this environment chose without, as xgboost's GPU libraries
        name = found.metadata["Name"].lower().replace("_", "-")
        if name not in pins:
            pins[name] = f"{name}=={found.version}"
            wanted += _needs(found.requires or [], requirement.extras)
    return sorted(pins.values())


def _needs(lines: list[str], extras: set[str]) -> Iterator[Requirement]:
    for line in lines:
        requirement = Requirement(line)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield requirement


def _imported(path: Path) -> Iterator[Path]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            for name in (node.module, *(f"{node.module}.{alias.name}" for alias in node.names)):
                yield from _modules(name)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                yield from _modules(alias.name)


def _modules(name: str) -> Iterator[Path]:
    """The file of a `deposit` module, and the `__init__.py` of each package above it."""
    parts = name.split(".")
    if parts[0] != PACKAGE.name:
        return
    for depth in range(len(parts)):
        folder = PACKAGE.joinpath(*parts[1 : depth + 1])
        for path in (folder / "__init__.py", folder.with_suffix(".py")):
            if path.is_file():
                yield path
