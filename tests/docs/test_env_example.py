import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from deposit.deploy.local.refused_settings import ON_AWS_ALONE
from deposit.settings import RENAMED, setting_names

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = (ROOT / ".env.example").read_text()
COMPOSE = [(ROOT / name).read_text() for name in ("docker-compose.yml", "docker-compose.seaweedfs.yml")]

# of the stack without Docker alone, what one part gives another, or of .env.aws.example
ELSEWHERE = {
    "DEPOSIT_STATE_DIR", "DEPOSIT_PYTHON", "DEPOSIT_REVISION", "DEPOSIT_RELEASE__SUPERVISOR_SOCKET",
    "DEPOSIT_RELEASE__FIRST_PORT", "DEPOSIT_RELEASE__STORE_SECRET_KEY", "DEPOSIT_SERVE__RELEASER_KEY_SHA256",
    "DEPOSIT_SERVE__REPLICA", "DEPOSIT_STACK__POSTGRES_PORT", "DEPOSIT_STACK__INTERNAL_PORT",
    "DEPOSIT_STACK__GRAFANA", "DEPOSIT_STACK__GRAFANA_PORT", "DEPOSIT_GATEWAY__GRAFANA",
} | ON_AWS_ALONE  # fmt: skip
LINE = re.compile(r"^# (?P<meaning>.+)\n#(?P<name>[A-Z][A-Z0-9_]*)=(?P<value>.*)$", re.MULTILINE)
VARIABLES = {match["name"]: match for match in LINE.finditer(EXAMPLE)}


def _given_by_compose() -> set[str]:
    """What the compose files set themselves, by value or by file; `.env` cannot change it."""
    services: dict[str, dict[str, Any]] = {}
    for text in COMPOSE:
        # its tags are compose's own: what they replace is of no matter here
        services |= yaml.safe_load(re.sub(r"!(override|reset)\b", "", text))["services"]
    # a name without a value is handed on as a person set it
    given = [service.get("environment") or {} for service in services.values()]
    names = {name for environment in given for name, value in environment.items() if value is not None}
    return {name.removesuffix("_FILE") if name not in setting_names() else name for name in names}


def _interpolated() -> set[str]:
    return {name for text in COMPOSE for name in re.findall(r"\$\{([A-Z_]+)", text)}


def _handed_on() -> set[str]:
    return set(yaml.safe_load(COMPOSE[0])["x-settings"])


CHANGEABLE = set(setting_names()) - ELSEWHERE - (_given_by_compose() - _interpolated() - _handed_on())


@pytest.mark.parametrize("name", sorted(CHANGEABLE))
def test_each_setting_that_a_person_may_change_is_there_with_its_meaning(name: str) -> None:
    meaning, default = setting_names()[name]
    assert VARIABLES[name]["meaning"] == meaning
    assert VARIABLES[name]["value"] == ("" if default is None else _written(default))


def test_each_setting_that_a_person_may_change_is_handed_on_from_the_shell_too() -> None:
    assert _handed_on() == CHANGEABLE | RENAMED.keys()


def test_each_variable_of_the_compose_files_is_there() -> None:
    assert _interpolated() - {"COMPOSE_PROJECT_NAME", "REVISION"} <= set(VARIABLES)


def test_nothing_is_there_that_nobody_reads() -> None:
    read_by_compose = {"COMPOSE_PROFILES", "COMPOSE_FILE"}
    assert set(VARIABLES) <= CHANGEABLE | _interpolated() | read_by_compose


def test_nothing_is_set_and_each_line_has_its_meaning() -> None:
    assert [line for line in EXAMPLE.splitlines() if line and not line.startswith("#")] == []
    assert re.findall(r"^#([A-Z][A-Z0-9_]*)=", EXAMPLE, re.MULTILINE) == list(VARIABLES)


def _written(default: Any) -> str:
    if isinstance(default, tuple):
        return "[" + ", ".join(f'"{each}"' for each in default) + "]"
    return str(default)
