"""An image that was made without an engine, in an engine: the serving base of the stack and a Bento on top."""

import json
import os
import re
import secrets
import shutil
import subprocess
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from certificates import certificate
from chaos import until
from composed import PROJECT, ROOT
from docker.client import DockerClient, from_env
from registry_server import HOST, Registry
from simulated_aws.server import SimulatedAws

from deposit.release import checks
from deposit.release.oci.ecr import ServiceImages
from deposit.release.repository import Release
from deposit.sections import ReleaseSettings

pytestmark = pytest.mark.servers
NOW = datetime(2026, 11, 1, tzinfo=UTC)
RELEASE = Release(
    7, "release", "deposit-v7", "", "deposit:v7", "s3://b/7", "a1" * 32, "building", "", "ecs", None, NOW, NOW
)


@pytest.fixture
def engine() -> Iterator[DockerClient]:
    client = from_env()
    yield client
    client.close()


@pytest.fixture
def serving_base(registry: Registry, engine: DockerClient, tmp_path: Path) -> Iterator[str]:
    """The base as `terraform/images/push` builds it in a clone and pushes it, by its digest in the registry."""
    here, clone = registry.url.removeprefix("http://"), tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    command = ["sh", "terraform/images/push", f"{here}/engine", "base"]
    login = {here: {"auth": b64encode(":".join(registry.login).encode()).decode()}}
    (tmp_path / "config.json").write_text(json.dumps({"auths": login}))
    environment = {**os.environ, "DOCKER_CONFIG": str(tmp_path)}
    refused = subprocess.run(command, cwd=clone, env=environment, capture_output=True, text=True)
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert "docker/authorities/rds.pem is missing" in refused.stderr
    shutil.copy(certificate(tmp_path / "certificate")[0], clone / "docker" / "authorities" / "rds.pem")
    done = subprocess.run(command, cwd=clone, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    digest = re.fullmatch(rf"base = {here}/engine/serving@(sha256:[0-9a-f]{{64}})\n", done.stdout)
    assert digest, done.stdout
    yield digest[1]
    (tag,) = [tag for tag in registry.tags("engine/serving") if tag.startswith("base-")]
    engine.images.remove(f"{here}/engine/serving:{tag}")


def test_it_is_pulled_and_serves_read_only_with_the_parity_of_its_model(
    engine: DockerClient,
    serving_base: str,
    registry: Registry,
    simulated_aws: SimulatedAws,
    bento_archive: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in simulated_aws.environment.items():
        monkeypatch.setenv(name, value)
    here, login = registry.url.removeprefix("http://"), dict(zip(("username", "password"), registry.login, strict=True))
    base = engine.images.get(f"{here}/engine/serving@{serving_base}")
    settings = ReleaseSettings(
        ecr_repository=f"{HOST}/engine/serving",
        base_image=f"{HOST}/engine/serving@{serving_base}",
        registry_url=registry.url,
    )
    images = ServiceImages(settings)
    reference = images.push(RELEASE, bento_archive)
    # another release of the same Bento is the same image
    assert images.push(replace(RELEASE, id=8), bento_archive) == reference
    pulled = engine.images.pull(reference.replace(HOST, here), auth_config=login)
    assert pulled.labels["deposit.bento.sha256"] == RELEASE.bento_sha256
    assert pulled.attrs["RootFS"]["Layers"][:-1] == base.attrs["RootFS"]["Layers"]
    container = engine.containers.run(
        pulled,
        detach=True,
        read_only=True,
        tmpfs={"/tmp": "mode=1777", "/var/lib/deposit": "mode=1777"},
        environment={"DEPOSIT_STATE_DIR": "/var/lib/deposit"},
        ports={"8000/tcp": ("127.0.0.1", None)},
        name=f"{PROJECT}-pushed-{secrets.token_hex(4)}",
    )
    try:
        until(lambda: _port(engine, container.id) is not None)
        with checks.plain_client(f"127.0.0.1:{_port(engine, container.id)}") as client:
            checks.wait_ready(client, 120, lambda: None)
            parity = images.parity(RELEASE)
            checks.smoke_test(client, "deposit-v7", parity)
            assert checks.check_parity(client, "deposit-v7", parity, 1e-6, 100) <= 1e-6
    finally:
        container.remove(force=True)
        engine.images.remove(pulled.id, force=True)


def _port(engine: DockerClient, container: str) -> int | None:
    bindings: Any = engine.containers.get(container).ports.get("8000/tcp")
    return int(bindings[0]["HostPort"]) if bindings else None
