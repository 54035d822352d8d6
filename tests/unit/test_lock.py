"""The lock holds a wheel of everything for each machine and interpreter that is supported: nobody needs a compiler."""

import re
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from packaging.markers import Marker
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import parse_wheel_filename

from deposit.deploy.requirements import PYTHON, SYSTEMS
from deposit.settings import REPOSITORY

LOCK = tomllib.loads((REPOSITORY / "uv.lock").read_text())
PYTHONS = [(3, minor) for minor in range(PYTHON[0][1], PYTHON[1][1] + 1)]
# glibc of Debian 12, and macOS 14
MACHINES = {
    f"linux {kind}": [f"manylinux_2_{minor}_{kind}" for minor in range(36, 4, -1)]
    + [f"manylinux{year}_{kind}" for year in (2014, 2010, 1)]
    for kind in ("x86_64", "aarch64")
} | {
    "darwin arm64": [f"macosx_{major}_0_{kind}" for major in (14, 13, 12, 11) for kind in ("arm64", "universal2")]
    + [f"macosx_10_{minor}_universal2" for minor in range(16, 3, -1)],
}


def test_each_supported_system_is_tried() -> None:
    assert {f"{system.lower()} {processor}" for system, processor in SYSTEMS} == MACHINES.keys()


def variables(machine: str, python: tuple[int, int], extra: str = "") -> dict[str, str]:
    system, processor = machine.split()
    return {
        "sys_platform": system,
        "platform_system": system.title(),
        "platform_machine": processor,
        "os_name": "posix",
        "python_version": "{}.{}".format(*python),
        "python_full_version": "{}.{}.0".format(*python),
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "extra": extra,
    }


def applies(entry: dict[str, Any], environment: dict[str, str]) -> bool:
    return "marker" not in entry or Marker(entry["marker"]).evaluate(environment)


def needed(environment: dict[str, str]) -> Iterator[dict[str, Any]]:
    """Every package of the lock that a machine installs, for either environment."""
    by_name: dict[str, list[dict[str, Any]]] = {}
    for package in LOCK["package"]:
        by_name.setdefault(package["name"], []).append(package)
    root = by_name["deposit"][0]
    waiting = [*root["dependencies"], *(entry for group in root["dev-dependencies"].values() for entry in group)]
    seen = set()
    while waiting:
        entry = waiting.pop()
        for package in by_name[entry["name"]]:
            extras = frozenset(entry.get("extra", ()))
            key = package["name"], package["version"], extras
            markers = package.get("resolution-markers", [])
            fits = not markers or any(Marker(marker).evaluate(environment) for marker in markers)
            if key in seen or not applies(entry, environment) or not fits:
                continue
            if "version" in entry and entry["version"] != package["version"]:
                continue
            seen.add(key)
            yield package
            waiting += package.get("dependencies", [])
            waiting += [each for extra in extras for each in package.get("optional-dependencies", {}).get(extra, [])]


def tags(machine: str, python: tuple[int, int]) -> set[Tag]:
    platforms = MACHINES[machine]
    return {
        *cpython_tags(python, platforms=platforms),
        *compatible_tags(python, f"cp{python[0]}{python[1]}", platforms),
    }


@pytest.mark.parametrize("python", PYTHONS, ids=lambda python: "{}.{}".format(*python))
@pytest.mark.parametrize("machine", MACHINES)
def test_everything_comes_as_a_wheel(machine: str, python: tuple[int, int]) -> None:
    usable = tags(machine, python)
    packages = list(needed(variables(machine, python)))
    assert {"xgboost" if machine.startswith("darwin") else "xgboost-cpu", "apache-airflow"} <= {
        package["name"] for package in packages
    }
    missing = [
        f"{package['name']} {package['version']}"
        for package in packages
        if not any(
            parse_wheel_filename(re.sub(".*/", "", wheel["url"]))[3] & usable for wheel in package.get("wheels", ())
        )
    ]
    assert not missing
