"""Images of services in a real registry, which asks for the token of a simulated ECR."""

import gzip
import io
import json
import tarfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from registry_server import BASE, HOST, KINDS, Registry
from simulated_aws.server import SimulatedAws

from deposit.errors import ConfigError, ReleaseError, UpstreamError
from deposit.release.oci.ecr import ServiceImages
from deposit.release.oci.manifest import bento_layer, sha256
from deposit.release.repository import Release
from deposit.release.targets.image import unpack
from deposit.sections import ReleaseSettings

pytestmark = pytest.mark.servers
NOW = datetime(2026, 11, 1, tzinfo=UTC)
RELEASE = Release(
    1,
    "release",
    "deposit-v7",
    "a test",
    "deposit:v7",
    "s3://bentos/7",
    "a1" * 32,
    "building",
    "",
    "ecs",
    None,
    NOW,
    NOW,
)


@pytest.fixture
def settings(
    registry: Registry, simulated_aws: SimulatedAws, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> ReleaseSettings:
    """A repository of the test's own, and the base beside it."""
    for name, value in simulated_aws.environment.items():
        monkeypatch.setenv(name, value)
    registry.put_image("deposit/base", "1")
    name = request.node.name.split("[")[0].replace("_", "-")
    return ReleaseSettings(ecr_repository=f"{HOST}/deposit/{name}", base_image=BASE, registry_url=registry.url)


def _pushed(registry: Registry, image: str) -> tuple[dict[str, Any], dict[str, Any], bytes]:
    """Manifest, configuration and last layer of `host/repository@digest`, read past the code under test."""
    repository, _, digest = image.removeprefix(f"{HOST}/").partition("@")
    answer = registry.manifest(repository, digest)
    assert answer.status_code == 200
    manifest = answer.json()
    config = json.loads(registry.blob(repository, manifest["config"]["digest"]))
    return manifest, config, registry.blob(repository, manifest["layers"][-1]["digest"])


@pytest.mark.parametrize("kind", KINDS)
def test_the_bento_is_one_layer_on_the_base(
    kind: str, settings: ReleaseSettings, registry: Registry, bento_archive: Path, tmp_path: Path
) -> None:
    base_digest = registry.put_image("deposit/base", kind, kind=kind)
    base, base_config, _ = _pushed(registry, f"{HOST}/deposit/base@{base_digest}")
    images = ServiceImages(settings.model_copy(update={"base_image": f"{HOST}/deposit/base:{kind}"}))
    image = images.push(RELEASE, bento_archive)
    manifest, config, layer = _pushed(registry, image)
    assert manifest["mediaType"] == KINDS[kind][0]
    assert manifest["layers"][:-1] == base["layers"]
    assert manifest["layers"][-1] == {"mediaType": KINDS[kind][2], "digest": sha256(layer), "size": len(layer)}
    # what is below came along, mounted from the other repository
    below = settings.ecr_repository.removeprefix(f"{HOST}/")
    assert registry.blob(below, base["layers"][0]["digest"]) == registry.blob(
        "deposit/base", base["layers"][0]["digest"]
    )
    assert config["rootfs"]["diff_ids"] == [
        *base_config["rootfs"]["diff_ids"],
        sha256(gzip.decompress(layer)),
    ]
    assert len(config["history"]) == len(config["rootfs"]["diff_ids"])
    assert config["config"]["User"] == "10001:10001"
    assert config["config"]["Labels"]["deposit.bento.sha256"] == RELEASE.bento_sha256
    assert config["config"]["Labels"]["deposit.base"] == base_digest
    assert config["config"]["Labels"]["lab.base"] == "yes"
    with tarfile.open(fileobj=io.BytesIO(layer)) as content:
        members = {member.name: member for member in content}
        bento = tmp_path / "bento"
        unpack(bento_archive, bento)
        for path in bento.rglob("*"):
            member = members[f"bento/{path.relative_to(bento)}"]
            assert member.isdir() == path.is_dir()
            if path.is_file():
                file = content.extractfile(member)
                assert file is not None
                assert file.read() == path.read_bytes()
    assert {(member.uid, member.gid, member.mtime) for member in members.values()} == {(10001, 10001, 0)}
    assert {member.mode for member in members.values()} == {0o755, 0o644}
    assert members["bento/tmp"].isdir()


def test_the_same_bento_is_the_same_image_and_is_pushed_once(
    settings: ReleaseSettings, registry: Registry, bento_archive: Path
) -> None:
    images = ServiceImages(settings)
    assert images.find(RELEASE) is None
    assert bento_layer(bento_archive) == bento_layer(bento_archive)
    image = images.push(RELEASE, bento_archive)
    repository = settings.ecr_repository.removeprefix(f"{HOST}/")
    (tag,) = registry.tags(repository)
    assert tag.startswith("a1a1a1a1a1a1-")
    assert images.push(RELEASE, bento_archive) == image
    assert images.find(RELEASE) == image
    assert registry.tags(repository) == [tag]
    parity = images.parity(RELEASE)
    assert len(parity["rows"]) == len(parity["probabilities"]) > 0


def test_a_new_base_makes_a_new_image_and_leaves_the_old_one(
    settings: ReleaseSettings, registry: Registry, bento_archive: Path
) -> None:
    registry.put_image("deposit/base", "moving")
    images = ServiceImages(settings.model_copy(update={"base_image": f"{HOST}/deposit/base:moving"}))
    old = images.push(RELEASE, bento_archive)
    registry.put_image("deposit/base", "moving", kind="docker")
    assert images.find(RELEASE) is None
    new = images.push(RELEASE, bento_archive)
    assert new != old
    assert len(registry.tags(settings.ecr_repository.removeprefix(f"{HOST}/"))) == 2
    _pushed(registry, old)


def test_of_an_index_the_image_for_the_processor_is_taken(
    settings: ReleaseSettings, registry: Registry, bento_archive: Path
) -> None:
    digests = {name: registry.put_image("deposit/base", name, architecture=name) for name in ("amd64", "arm64")}
    kind = KINDS["oci"][0]
    entries = [
        {"mediaType": kind, "digest": digest, "size": 1, "platform": {"os": "linux", "architecture": name}}
        for name, digest in digests.items()
    ]
    # as buildx attaches provenance
    entries[0]["size"] = entries[1]["size"] = len(registry.manifest("deposit/base", "amd64").content)
    index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": entries}
    registry.put_manifest("deposit/base", "both", index)
    both = settings.model_copy(update={"base_image": f"{HOST}/deposit/base:both"})
    for name, digest in digests.items():
        image = ServiceImages(both.model_copy(update={"architecture": name})).push(RELEASE, bento_archive)
        _, config, _ = _pushed(registry, image)
        assert config["architecture"] == name
        assert config["config"]["Labels"]["deposit.base"] == digest
    only = {**index, "manifests": entries[:1]}
    registry.put_manifest("deposit/base", "one", only)
    one = settings.model_copy(update={"base_image": f"{HOST}/deposit/base:one", "architecture": "arm64"})
    with pytest.raises(ReleaseError, match=r"for linux/amd64, but not for linux/arm64"):
        ServiceImages(one).push(RELEASE, bento_archive)


def test_a_tag_of_another_image_is_not_taken_over(
    settings: ReleaseSettings, registry: Registry, bento_archive: Path
) -> None:
    images = ServiceImages(settings)
    images.push(RELEASE, bento_archive)
    repository = settings.ecr_repository.removeprefix(f"{HOST}/")
    (tag,) = registry.tags(repository)
    other = registry.put_image(repository, tag)
    with pytest.raises(ReleaseError, match=rf"{tag} is another image than this Bento's: remove it"):
        images.push(RELEASE, bento_archive)
    assert sha256(registry.manifest(repository, tag).content) == other


def test_what_cannot_be_had_has_a_sentence(
    settings: ReleaseSettings, registry: Registry, bento_archive: Path, free_ports: Any, simulated_aws: SimulatedAws
) -> None:
    def images(**changes: Any) -> ServiceImages:
        return ServiceImages(settings.model_copy(update=changes))

    with pytest.raises(ReleaseError, match=r"there is no base image .*deposit/base:2: push it, or correct DEPOSIT_"):
        images(base_image=f"{HOST}/deposit/base:2").push(RELEASE, bento_archive)
    with pytest.raises(ConfigError, match=r"BASE_IMAGE is in ghcr\.io and .* push the base image to the same registry"):
        images(base_image="ghcr.io/deposit/base:1")
    with pytest.raises(ConfigError, match=r"DEPOSIT_RELEASE__ECR_REPOSITORY is not an image in a registry: ''"):
        images(ecr_repository="")
    with pytest.raises(ConfigError, match=r"must be https; http is allowed on this machine only"):
        images(registry_url="http://10.0.0.1:5000")
    with pytest.raises(UpstreamError, match=r"the image registry of \S+/deposit/base does not answer \(ConnectError\)"):
        images(registry_url=f"http://127.0.0.1:{free_ports(1)}").push(RELEASE, bento_archive)
    # without a token, as without the right to one
    local = registry.url.removeprefix("http://")
    with pytest.raises(ReleaseError, match=r"does not answer GET manifests/1 in \S+/deposit/base: 401 authentication"):
        images(ecr_repository=f"{local}/deposit/x", base_image=f"{local}/deposit/base:1").push(RELEASE, bento_archive)
    archive = bento_archive.with_name("damaged.bento")
    archive.write_bytes(b"no tar")
    with pytest.raises(ReleaseError, match=r"damaged\.bento is not a Bento archive"):
        images().push(replace(RELEASE, bento_sha256="b2" * 32), archive)


def test_credentials_that_are_wrong_or_missing_have_a_sentence(
    settings: ReleaseSettings, monkeypatch: pytest.MonkeyPatch, free_ports: Any
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_ports(1)}")
    with pytest.raises(UpstreamError, match=r"AWS does not answer the request to log in to ECR"):
        ServiceImages(settings).find(RELEASE)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    with pytest.raises(ReleaseError, match=r"does not accept the credentials to log in to ECR: Unable to locate"):
        ServiceImages(settings).find(RELEASE)
