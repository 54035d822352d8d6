"""Manifests of images: pure, with values as registries give them."""

import json
from typing import Any

import pytest

from deposit.errors import ReleaseError
from deposit.release.oci.manifest import ImageManifest, Layer, of_architecture, sha256, with_layer

OCI = "application/vnd.oci.image.manifest.v1+json"
DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
INDEX = "application/vnd.oci.image.index.v1+json"
LAYER = Layer(b"packed", "sha256:" + "d" * 64)


def _manifest(kind: str = OCI, **more: Any) -> ImageManifest:
    content = {
        "schemaVersion": 2,
        "mediaType": kind,
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": "sha256:c", "size": 1},
        "layers": [{"mediaType": "x", "digest": "sha256:b", "size": 2}],
        **more,
    }
    return ImageManifest(kind, json.dumps(content).encode())


def _config(**more: Any) -> bytes:
    return json.dumps(
        {"architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": ["sha256:b"]}, **more}
    ).encode()


def _index(*platforms: tuple[str, str]) -> ImageManifest:
    entries = [
        {"digest": f"sha256:{number}", "platform": {"os": system, "architecture": processor}}
        for number, (system, processor) in enumerate(platforms)
    ]
    return ImageManifest(INDEX, json.dumps({"schemaVersion": 2, "manifests": entries}).encode())


@pytest.mark.parametrize(
    ("kind", "layer"),
    [
        (OCI, "application/vnd.oci.image.layer.v1.tar+gzip"),
        (DOCKER, "application/vnd.docker.image.rootfs.diff.tar.gzip"),
    ],
)
def test_the_layer_is_of_the_manifests_kind(kind: str, layer: str) -> None:
    image, config = with_layer(_manifest(kind), _config(), LAYER, {}, "made")
    assert image.media_type == kind
    assert image.layers[1] == {"mediaType": layer, "digest": sha256(b"packed"), "size": 6}
    assert image.config_digest == sha256(config)
    assert image.content["config"]["size"] == len(config)


def test_a_base_without_history_labels_or_time_gets_them() -> None:
    _, config = with_layer(_manifest(), _config(config={"Labels": None}), LAYER, {"a": "b"}, "made")
    content = json.loads(config)
    assert content["history"] == [{"created_by": "made"}]
    assert content["config"]["Labels"] == {"a": "b"}


def test_the_same_base_and_layer_give_the_same_bytes_whenever() -> None:
    base = _config(created="2026-01-01T00:00:00Z", history=[{"created_by": "base"}])
    first, second = (
        with_layer(_manifest(), base, LAYER, labels, "made") for labels in ({"a": "1", "b": "2"}, {"b": "2", "a": "1"})
    )
    assert first == second
    assert json.loads(first[1])["history"][1]["created"] == "2026-01-01T00:00:00Z"


def test_what_vouches_for_the_base_is_not_taken_over() -> None:
    image, _ = with_layer(
        _manifest(annotations={"base": "yes"}, subject={"digest": "sha256:s"}), _config(), LAYER, {}, "x"
    )
    assert not image.content.keys() & {"annotations", "subject"}


def test_an_attestation_is_no_platform() -> None:
    index = _index(("linux", "amd64"), ("linux", "arm64"), ("unknown", "unknown"))
    assert of_architecture(index, "arm64") == "sha256:1"
    with pytest.raises(ReleaseError, match=r"exists for linux/amd64, but not for linux/arm64"):
        of_architecture(_index(("linux", "amd64"), ("unknown", "unknown")), "arm64")
    with pytest.raises(ReleaseError, match=r"exists for no platform"):
        of_architecture(_index(("unknown", "unknown")), "amd64")


@pytest.mark.parametrize("kind", ["application/vnd.docker.distribution.manifest.v1+prettyjws", "text/html", ""])
def test_what_is_no_manifest_is_refused(kind: str) -> None:
    with pytest.raises(ReleaseError, match="it is not an image"):
        _ = ImageManifest(kind, b"{}").content
    with pytest.raises(ReleaseError, match="it is not an image"):
        _ = ImageManifest(OCI, b"<html>").content
