"""Pytest plugin: a real image registry (docker-registry), which asks for the password that the ECR gives out."""

import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from simulated_aws.server import ACCOUNT, REGION

HOST = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
BASE = f"{HOST}/deposit/base:1"
_AUTH = ("AWS", f"{ACCOUNT}-auth-token")
"""What moto's ECR gives as a token; the hash below is bcrypt's of it."""
_HTPASSWD = "AWS:$2b$04$abcdefghijklmnopqrstuu/cMn6kFoLFEf9ShbIPSVtJoiKQtizZG\n"
_START_SECONDS = 60
_CONFIG = """
version: 0.1
log: {{accesslog: {{disabled: true}}, level: error}}
storage: {{filesystem: {{rootdirectory: {folder}/data}}, delete: {{enabled: true}}}}
http: {{addr: "127.0.0.1:{port}", secret: "of a test"}}
auth: {{htpasswd: {{realm: ecr, path: {folder}/htpasswd}}}}
"""
_OCI = "application/vnd.oci.image"
_DOCKER = "application/vnd.docker"
KINDS = {
    "oci": (f"{_OCI}.manifest.v1+json", f"{_OCI}.config.v1+json", f"{_OCI}.layer.v1.tar+gzip"),
    "docker": (
        f"{_DOCKER}.distribution.manifest.v2+json",
        f"{_DOCKER}.container.image.v1+json",
        f"{_DOCKER}.image.rootfs.diff.tar.gzip",
    ),
}
"""Media types of manifest, configuration and layer."""


@dataclass(frozen=True)
class Registry:
    """A registry that runs; what is read and written here goes past the code under test."""

    url: str
    client: httpx.Client
    login: tuple[str, str] = _AUTH

    def manifest(self, repository: str, reference: str) -> httpx.Response:
        """As the registry gives it, whatever its kind."""
        accept = ", ".join((*(kinds[0] for kinds in KINDS.values()), f"{_OCI}.index.v1+json"))
        return self.client.get(f"/v2/{repository}/manifests/{reference}", headers={"Accept": accept})

    def bento_of(self, image: str, folder: Path) -> Path:
        """What an image's last layer holds under /bento; the base alone has no such folder."""
        repository, _, digest = image.partition("/")[2].partition("@")
        place = folder / image.replace("/", "-").replace(":", "-")
        if not place.exists():
            name, _, tag = repository.partition(":")
            manifest = self.manifest(name, digest or tag).raise_for_status().json()
            layer = self.blob(name, manifest["layers"][-1]["digest"])
            with tarfile.open(fileobj=io.BytesIO(layer)) as content:
                content.extraction_filter = getattr(tarfile, "data_filter", None)  # Python 3.11.2 has none
                content.extractall(place)
        return place / "bento"

    def blob(self, repository: str, digest: str) -> bytes:
        """Of a layer or a configuration."""
        return self.client.get(f"/v2/{repository}/blobs/{digest}").raise_for_status().content

    def tags(self, repository: str) -> list[str]:
        """In no order; none if the repository is not there."""
        response = self.client.get(f"/v2/{repository}/tags/list")
        return list(response.json().get("tags") or []) if response.is_success else []

    def put_manifest(self, repository: str, tag: str, content: dict[str, Any]) -> str:
        """Its digest."""
        data = json.dumps(content).encode()
        headers = {"Content-Type": content["mediaType"]}
        self.client.put(f"/v2/{repository}/manifests/{tag}", content=data, headers=headers).raise_for_status()
        return _digest(data)

    def put_image(self, repository: str, tag: str, kind: str = "oci", architecture: str = "amd64") -> str:
        """A small image of one layer; its digest."""
        manifest, config, layer = KINDS[kind]
        plain = _tar({"etc/base": f"of {architecture}".encode()})
        about = {
            "architecture": architecture,
            "os": "linux",
            "created": "2026-11-01T00:00:00Z",
            "config": {"User": "10001:10001", "Labels": {"lab.base": "yes"}, "Cmd": ["python"]},
            "rootfs": {"type": "layers", "diff_ids": [_digest(plain)]},
            "history": [{"created_by": "base"}],
        }
        return self.put_manifest(
            repository,
            tag,
            {
                "schemaVersion": 2,
                "mediaType": manifest,
                "config": {"mediaType": config, **self._put_blob(repository, json.dumps(about).encode())},
                "layers": [{"mediaType": layer, **self._put_blob(repository, gzip.compress(plain, mtime=0))}],
            },
        )

    def _put_blob(self, repository: str, data: bytes) -> dict[str, Any]:
        place = self.client.post(f"/v2/{repository}/blobs/uploads/").raise_for_status().headers["Location"]
        self.client.put(f"{place}&digest={_digest(data)}", content=data).raise_for_status()
        return {"digest": _digest(data), "size": len(data)}


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory, free_ports: Callable[[int], int]) -> Iterator[Registry]:
    """A registry with nothing in it, shared by the session."""
    program = shutil.which("docker-registry") or shutil.which("registry")
    if program is None:
        message = "there is no image registry to test with: `apt-get install docker-registry`"
        # a machine of somebody's may do without it; CI installs it
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    folder, port = tmp_path_factory.mktemp("registry"), free_ports(1)
    (folder / "htpasswd").write_text(_HTPASSWD)
    (folder / "config.yml").write_text(_CONFIG.format(folder=folder, port=port))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, "serve", str(folder / "config.yml")], stdout=log, stderr=log)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", auth=_AUTH, trust_env=False, timeout=60) as client:
            _wait(process, client, folder / "log")
            yield Registry(str(client.base_url), client)
    finally:
        process.terminate()
        process.wait(20)


def _wait(process: subprocess.Popen[bytes], client: httpx.Client, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if client.get("/v2/").is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    pytest.fail(f"the registry does not start; its log ends: {log.read_text()[-2000:]}")


def _tar(files: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return content.getvalue()


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
