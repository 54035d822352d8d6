"""A repository of images by its registry's HTTP API (OCI distribution specification 1.1)."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from deposit.errors import IntegrityError, ReleaseError, UpstreamError
from deposit.release.oci.manifest import INDEXES, MANIFESTS, ImageManifest, sha256

_LONGEST = 300
"""Characters of the registry's own words that a message takes over."""
_CHUNK = 2**20


class ImageRepository:
    """One repository. Raises ReleaseError for what the registry refuses, UpstreamError if it does not answer.

    Args:
        client: with the registry's address and authorization.
        host: of the registry, as images' names begin.
        name: of the repository, without the host.
    """

    def __init__(self, client: httpx.Client, host: str, name: str) -> None:
        self._client = client
        self.name = name
        self._where = f"{host}/{name}"

    def manifest(self, reference: str) -> ImageManifest | None:
        """The manifest under a tag or digest, its digest checked; None if there is none."""
        response = self._send("GET", f"manifests/{reference}", headers={"Accept": ", ".join((*MANIFESTS, *INDEXES))})
        if response.status_code == httpx.codes.NOT_FOUND:
            return None
        self._require(response, httpx.codes.OK, f"read the image {reference}")
        manifest = ImageManifest(response.headers.get("Content-Type", "").partition(";")[0], response.content)
        if reference.startswith("sha256:"):
            self._check(manifest.data, reference)
        return manifest

    def blob(self, digest: str) -> bytes:
        """A blob that fits into memory, checked."""
        response = self._send("GET", f"blobs/{digest}")
        self._require(response, httpx.codes.OK, f"read {digest}")
        self._check(response.content, digest)
        return response.content

    def has_blob(self, digest: str) -> bool:
        """Whether a blob need not be uploaded."""
        return self._send("HEAD", f"blobs/{digest}").status_code == httpx.codes.OK

    def put_blob(self, digest: str, data: bytes) -> None:
        """Upload a blob unless it is there."""
        if not self.has_blob(digest):
            self._upload(self._begin(""), digest, data, len(data))

    def copy_blob(self, digest: str, size: int, source: "ImageRepository") -> None:
        """Have a blob of another repository of the same registry here too: mounted, or through this machine.

        Not every registry mounts: the ECR does so only where the account has switched it on.
        """
        if self.has_blob(digest):
            return
        place = self._begin(f"?mount={digest}&from={source.name}")
        if place:
            with source.stream(digest) as chunks:
                self._upload(place, digest, chunks, size)

    @contextmanager
    def stream(self, digest: str) -> Iterator[Iterator[bytes]]:
        """The bytes of a blob, unchecked: who takes it checks it."""
        with self._answering(), self._client.stream("GET", f"/v2/{self.name}/blobs/{digest}") as response:
            self._require(response, httpx.codes.OK, f"read {digest}")
            yield response.iter_raw(_CHUNK)

    def put_manifest(self, tag: str, manifest: ImageManifest) -> None:
        """Give a tag to an image whose blobs are there."""
        headers = {"Content-Type": manifest.media_type}
        response = self._send("PUT", f"manifests/{tag}", content=manifest.data, headers=headers)
        self._require(response, httpx.codes.CREATED, f"keep the image {tag}")

    def _begin(self, query: str) -> str:
        """Where an upload goes; empty if the blob was mounted."""
        response = self._send("POST", f"blobs/uploads/{query}")
        if response.status_code == httpx.codes.CREATED and query:
            return ""
        self._require(response, httpx.codes.ACCEPTED, "take an upload")
        return _location(response)

    def _upload(self, place: str, digest: str, data: bytes | Iterator[bytes], size: int) -> None:
        # in one piece, as every client of registries does: the ECR wants all but the last piece to be of 5 MB or more
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
        with self._answering():
            written = self._client.patch(place, content=data, headers=headers)
            self._require(written, httpx.codes.ACCEPTED, f"take {digest}")
            place = _location(written)
            closed = self._client.put(place, params={**httpx.URL(place).params, "digest": digest})
            self._require(closed, httpx.codes.CREATED, f"keep {digest}")

    def _send(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        with self._answering():
            response = self._client.request(method, f"/v2/{self.name}/{path}", **arguments)
        if response.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            self._require(response, httpx.codes.OK, f"answer {method} {path.partition('?')[0]}")
        return response

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except httpx.HTTPError as error:
            raise UpstreamError(
                f"the image registry of {self._where} does not answer ({type(error).__name__}): "
                "see that it can be reached from here"
            ) from error

    def _require(self, response: httpx.Response, status: int, action: str) -> None:
        if response.status_code == status:
            return
        response.read()
        message = f"the image registry does not {action} in {self._where}: {_words(response)}"
        if response.is_server_error or response.status_code == httpx.codes.TOO_MANY_REQUESTS:
            raise UpstreamError(message)
        raise ReleaseError(message)

    def _check(self, data: bytes, digest: str) -> None:
        if sha256(data) != digest:
            raise IntegrityError(f"{self._where}@{digest} has other bytes than its digest says: push the image again")


def _location(response: httpx.Response) -> str:
    """Where the next piece goes: the registry may name itself by another host than it was asked by."""
    return str(response.url.join(response.headers["Location"]).raw_path, "ascii")


def _words(response: httpx.Response) -> str:
    """The registry's own reason, or its status."""
    try:
        errors = json.loads(response.content)["errors"]
        words = "; ".join(str(error.get("message") or error["code"]) for error in errors)
    except (ValueError, KeyError, TypeError, AttributeError):
        words = response.text
    return f"{response.status_code} {' '.join(words.split())}"[:_LONGEST].strip()
