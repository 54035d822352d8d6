"""Where a Grafana is looked for, and what it is started with."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
import stand_in_grafana
import yaml

from deposit.deploy import airflow
from deposit.deploy.credentials import random_credentials
from deposit.deploy.layout import Layout
from deposit.deploy.local import grafana
from deposit.deploy.local.grafana import Installation
from deposit.errors import ConfigError
from deposit.settings import REPOSITORY, Settings, chosen_settings

COMPOSE = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())["services"]["grafana"]


def executable(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def home(path: Path) -> Path:
    (path / "conf").mkdir(parents=True)
    (path / "conf" / "defaults.ini").touch()
    return path


def archive(root: Path) -> tuple[Path, Path, list[str]]:
    there = home(root / "opt" / "grafana-v12.4.0")
    program = executable(there / "bin" / "grafana")
    return program, there, [str(program), "server"]


def linked(root: Path) -> tuple[Path, Path, list[str]]:
    program, there, command = archive(root)
    link = root / "usr" / "local" / "bin" / "grafana"
    link.parent.mkdir(parents=True)
    link.symlink_to(program)
    return link, there, command


def package(root: Path) -> tuple[Path, Path, list[str]]:
    """Debian's and Red Hat's: a script on the PATH, which would read the machine's own configuration."""
    there = home(root / "usr" / "share" / "grafana")
    return executable(root / "usr" / "sbin" / "grafana"), there, [str(executable(there / "bin" / "grafana")), "server"]


def homebrew(root: Path) -> tuple[Path, Path, list[str]]:
    keg = root / "Cellar" / "grafana" / "12.4.0"
    there, program = home(keg / "share" / "grafana"), executable(keg / "bin" / "grafana")
    link = root / "bin" / "grafana"
    link.parent.mkdir()
    link.symlink_to(program)
    return link, there, [str(link), "server"]


def older(root: Path) -> tuple[Path, Path, list[str]]:
    there = home(root / "usr" / "share" / "grafana")
    program = executable(root / "usr" / "sbin" / "grafana-server")
    return program, there, [str(program)]


@pytest.mark.parametrize("laid_out", [archive, linked, package, homebrew, older])
def test_a_program_is_started_with_the_home_that_it_was_packaged_with(
    laid_out: Callable[[Path], tuple[Path, Path, list[str]]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program, there, command = laid_out(tmp_path)
    monkeypatch.setenv("PATH", str(program.parent))
    installation = grafana.on_path()
    assert installation == Installation.of(program)
    assert installation is not None
    assert installation.command == [*command, f"--homepath={there}", f"--config={os.devnull}"]
    chosen = grafana.with_grafana(chosen_settings(), tmp_path)
    assert chosen.stack.grafana == program
    assert grafana.installation(chosen.stack) == installation


def test_without_one_the_stack_says_so_and_off_means_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(executable(tmp_path / "bin" / "grafana").parent))  # a program without a home
    settings = chosen_settings()
    assert grafana.with_grafana(settings, tmp_path) is settings
    assert "none is installed" in grafana.reason_for_none(settings.stack, tmp_path)
    archive(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path / "opt" / "grafana-v12.4.0" / "bin"))
    assert "`deposit up` starts the one" in grafana.reason_for_none(settings.stack, tmp_path)
    monkeypatch.setenv("DEPOSIT_STACK__GRAFANA", "off")
    settings = chosen_settings()
    assert grafana.with_grafana(settings, tmp_path).stack.grafana == "off"
    assert "`off`" in grafana.reason_for_none(settings.stack, tmp_path)


def test_one_on_the_path_is_left_out_where_its_port_is_another_grafanas(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program, *_ = archive(tmp_path)
    monkeypatch.setenv("PATH", str(program.parent))
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        monkeypatch.setenv("DEPOSIT_STACK__GRAFANA_PORT", str(port))
        settings = chosen_settings()
        assert grafana.with_grafana(settings, tmp_path).stack.grafana is None
        assert f"port {port} is taken" in grafana.reason_for_none(settings.stack, tmp_path)


def test_a_program_that_is_no_grafana_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for program in (tmp_path / "gone", tmp_path, executable(tmp_path / "bin" / "grafana")):
        monkeypatch.setenv("DEPOSIT_STACK__GRAFANA", str(program))
        with pytest.raises(ConfigError, match="DEPOSIT_STACK__GRAFANA"):
            grafana.with_grafana(chosen_settings(), tmp_path)


def test_doctor_names_the_version_and_what_is_too_old(tmp_path: Path) -> None:
    program = stand_in_grafana.install(tmp_path / "grafana")
    there = Installation.of(program)
    assert there is not None
    assert there.version() == "12.4.0"
    for answer, complaint in (("Version 9.5.2 (commit: 1)", "is Grafana 9.5.2"), ("", "prints no version")):
        program.write_text(f"#!/bin/sh\necho '{answer}'\n")
        with pytest.raises(ConfigError, match=complaint):
            there.version()


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("DEPOSIT_STATE_DIR", str(tmp_path))
    return chosen_settings()


def test_it_keeps_to_itself_as_in_compose(settings: Settings) -> None:
    own = grafana.environment(settings, Layout(settings.state.root), random_credentials(), 1)
    of_places = {"GF_SECURITY_ADMIN_PASSWORD__FILE", "GF_SERVER_ROOT_URL", "GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"}
    shared = {
        name: value
        for name, value in COMPOSE["environment"].items()
        if name.startswith("GF_") and name not in of_places and "OAUTH" not in name
    }
    assert len(shared) >= 7
    assert own.items() >= shared.items()


def test_its_files_are_those_of_compose_but_for_the_places(settings: Settings) -> None:
    place = Layout(settings.state.root)
    stale = place.grafana / "provisioning" / "alerting" / "gone.yaml"
    stale.parent.mkdir(parents=True)
    stale.touch()
    grafana.lay_out(place)
    written = {str(path.relative_to(place.grafana)) for path in place.grafana.rglob("*.yaml")}
    source = REPOSITORY / "grafana"
    assert written == {str(path.relative_to(source)) for path in source.glob("provisioning/**/*.yaml")}
    (datasource,) = yaml.safe_load((place.grafana / "provisioning/datasources/deposit.yaml").read_text())["datasources"]
    (of_compose,) = yaml.safe_load((source / "provisioning/datasources/deposit.yaml").read_text())["datasources"]
    own = {"url": "$DATABASE_ADDRESS", "secureJsonData": {"password": "$DATABASE_READER_PASSWORD"}}
    assert datasource == of_compose | own
    (provider,) = yaml.safe_load((place.grafana / "provisioning/dashboards/deposit.yaml").read_text())["providers"]
    assert provider["options"]["path"] == "$DASHBOARDS"
    variables = grafana.environment(settings, place, random_credentials(), 1)
    assert {"DATABASE_ADDRESS", "DATABASE_READER_PASSWORD", "DASHBOARDS", "ALERT_WEBHOOK_URL"} <= variables.keys()
    for path in place.grafana.rglob("*.yaml"):
        assert not [
            place for place in ("/var/lib/deposit", "/run/deposit", "postgres:5432") if place in path.read_text()
        ]


def test_behind_tls_its_cookie_is_for_tls_and_a_persons_link_is_its_address(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def of(settings: Settings) -> dict[str, str]:
        return grafana.environment(settings, Layout(settings.state.root), random_credentials(), 1)

    assert of(settings)["GF_SERVER_ROOT_URL"] == "http://127.0.0.1:3000/"
    assert of(settings)["GF_SECURITY_COOKIE_SECURE"] == "false"
    monkeypatch.setenv("DEPOSIT_GATEWAY__TLS", "internal")
    assert of(chosen_settings())["GF_SERVER_ROOT_URL"] == "https://127.0.0.1:3000/"
    assert of(chosen_settings())["GF_SECURITY_COOKIE_SECURE"] == "true"
    monkeypatch.setenv("DEPOSIT_LINKS__GRAFANA", "https://grafana.bank.test")
    monkeypatch.setenv("DEPOSIT_MONITOR__WEBHOOK_URL", "https://bank.test/hook")
    assert of(chosen_settings())["GF_SERVER_ROOT_URL"] == "https://grafana.bank.test/"
    assert of(chosen_settings())["ALERT_WEBHOOK_URL"] == "https://bank.test/hook"


def test_airflows_page_links_to_it(settings: Settings, tmp_path: Path) -> None:
    def link(settings: Settings) -> str | None:
        variables = airflow.environment(settings, Layout(settings.state.root), random_credentials())
        return variables.get("DEPOSIT_LINKS__GRAFANA")

    assert link(settings) is None
    program = stand_in_grafana.install(tmp_path / "grafana-12")
    assert link(settings.changed("stack", grafana=program)) == "http://127.0.0.1:3000"
    chosen = settings.changed("stack", grafana=program).changed("links", grafana="https://grafana.bank.test")
    assert link(chosen) == "https://grafana.bank.test"
