import re
import resource
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest

from deposit.deploy import requirements
from deposit.deploy.local import doctor
from deposit.deploy.requirements import (
    COMPOSE,
    ENGINE,
    GIB,
    PYTHON,
    START_DISK,
    SYSTEMS,
    WITH_DOCKER,
    WITHOUT_DOCKER,
    Machine,
    Requirements,
    Shortfall,
    disk_shortfall,
    require_disk,
    require_limits,
    shortfalls,
)  # fmt: skip
from deposit.errors import ConfigError
from deposit.settings import REPOSITORY, chosen_settings

README = (REPOSITORY / "README.md").read_text()


def machine(processors: int = 2, memory: float = 6) -> Machine:
    return Machine("Linux", "x86_64", processors, int(memory * GIB))


@pytest.mark.parametrize(
    ("has", "lacks"),
    [
        (machine(), []),
        (machine(memory=5.8), []),
        (machine(memory=2), [Shortfall("GiB of memory", 2, 6)]),
        (machine(1, 3), [Shortfall("processors", 1, 2), Shortfall("GiB of memory", 3, 6)]),
    ],
)
def test_what_a_machine_lacks(has: Machine, lacks: list[Shortfall]) -> None:
    assert list(shortfalls(WITH_DOCKER, has)) == lacks


@pytest.mark.parametrize(("free", "lacks"), [(START_DISK, []), (GIB, [Shortfall("GiB of disk free", 1, 2)])])
def test_shortfall_of_disk_space(
    free: int, lacks: list[Shortfall], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requirements, "shutil", SimpleNamespace(disk_usage=lambda _: SimpleNamespace(free=free)))
    assert list(disk_shortfall(tmp_path)) == lacks
    if lacks:
        with pytest.raises(ConfigError, match=r"no disk space: 1,024 MiB free at .*, 2,048 are needed"):
            require_disk(tmp_path)
    else:
        assert require_disk(tmp_path) == free


def test_this_machine_is_what_it_is() -> None:
    this = Machine.this()
    assert this.processors >= 1
    assert this.memory > GIB / 2


def _row(name: str) -> tuple[str, str]:
    with_docker, without = re.findall(rf"^\| {name} \| (.+?) \| (.+?) \|$", README, re.MULTILINE)[0]
    return with_docker, without


def test_the_readme_asks_for_what_is_needed() -> None:
    def written(needed: Requirements) -> str:
        return f"{needed.processors}, {needed.memory} GiB, {needed.disk} GiB"

    assert _row("processors, memory, disk") == (written(WITH_DOCKER), written(WITHOUT_DOCKER))
    oldest, newest = (f"{major}.{minor}" for major, minor in PYTHON)
    assert _row("software") == (
        f"Docker Engine {ENGINE}, Compose {COMPOSE}, make", f"Python {oldest} to {newest}, make",
    )  # fmt: skip


def test_the_package_installs_on_the_pythons_and_systems_that_are_named() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    oldest, (major, minor) = PYTHON
    assert project["project"]["requires-python"] == f">={oldest[0]}.{oldest[1]},<{major}.{minor + 1}"
    environments = {
        (f"sys_platform == '{system.lower()}' and platform_machine == '{processor}'") for system, processor in SYSTEMS
    }
    assert environments == set(project["tool"]["uv"]["environments"])


def test_doctor_refuses_a_python_that_is_not_supported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPOSIT_STATE_DIR", str(tmp_path))

    def examined() -> doctor.Finding:
        return next(each for each in doctor.examine(chosen_settings()) if each.what == "Python")

    assert examined().ok
    monkeypatch.setattr(doctor, "PYTHON", ((3, 8), (3, 9)))
    this = "{}.{}".format(*sys.version_info)
    refusal = f"Python {this} is not supported, 3.8 to 3.9 are: make PYTHON=3.9 setup"
    assert examined() == doctor.Finding("Python", False, refusal)


@pytest.mark.parametrize(
    ("number", "limits", "told"),
    [
        (resource.RLIMIT_NOFILE, (256, resource.RLIM_INFINITY), None),
        (resource.RLIMIT_NOFILE, (256, 256), "256 open files (ulimit -n), 1,024 are needed"),
        (resource.RLIMIT_NPROC, (100, 4096), "100 processes (ulimit -u), 512 are needed"),
        (resource.RLIMIT_FSIZE, (1024, 1024), "1,024 bytes per file (ulimit -f), 2,147,483,648 are needed"),
        (resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY), None),
    ],
)
def test_a_limit_of_the_shell_that_is_too_low_is_named(
    number: int, limits: tuple[int, int], told: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlimited = resource.RLIM_INFINITY, resource.RLIM_INFINITY
    monkeypatch.setattr(resource, "getrlimit", lambda asked: limits if asked == number else unlimited)
    if told is None:
        require_limits()
        return
    with pytest.raises(ConfigError) as refused:
        require_limits()
    assert refused.value.details == (told,)
