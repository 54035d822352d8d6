"""Client of an image repository over the HTTP API of its registry (OCI distribution specification 1.1)."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from deposit.errors import IntegrityError, ReleaseError, UpstreamError
from deposit.release.oci.manifest import INDEXES, MANIFESTS, ImageManifest, sha256

_MAX_CHARACTERS = 300
"""Maximum number of characters of the registry's message to include in ours."""
_CHUNK = 2**20


class ImageRepository:
    """One repository. Raises ReleaseError if the registry rejects a request, UpstreamError if it is unavailable.

    Args:
        client: HTTP client with the URL and authorization of the registry.
        host: host of the registry in the names of images.
        name: name of the repository, without the host.
    """

    def __init__(self, client: httpx.Client, host: str, name: str) -> None:
        self._client = client
        self.name = name
        self._where = f"{host}/{name}"

    def manifest(self, reference: str) -> ImageManifest | None:
        """Return the manifest of a tag or digest, None if there is none. A digest is verified."""
        response = self._send("GET", f"manifests/{reference}", headers={"Accept": ", ".join((*MANIFESTS, *INDEXES))})
        if response.status_code == httpx.codes.NOT_FOUND:
            return None
        self._require(response, httpx.codes.OK, f"read the image {reference}")
        manifest = ImageManifest(response.headers.get("Content-Type", "").partition(";")[0], response.content)
        if reference.startswith("sha256:"):
            self._check(manifest.data, reference)
        return manifest

    def blob(self, digest: str) -> bytes:
        """Return a blob that fits into memory, and verify its digest."""
        response = self._send("GET", f"blobs/{digest}")
        self._require(response, httpx.codes.OK, f"read {digest}")
        self._check(response.content, digest)
        return response.content

    def has_blob(self, digest: str) -> bool:
        """Whether the repository has a blob."""
        return self._send("HEAD", f"blobs/{digest}").status_code == httpx.codes.OK

    def put_blob(self, digest: str, data: bytes) -> None:
        """Upload a blob unless the repository has it."""
        if not self.has_blob(digest):
            self._upload(self._begin(""), digest, data, len(data))

    def copy_blob(self, digest: str, size: int, source: "ImageRepository") -> None:
        """Copy a blob from another repository of the same registry: mount it, or else download and upload it.

        Not every registry supports mounting: ECR only if the account has enabled it.
        """
        if self.has_blob(digest):
            return
        location = self._begin(f"?mount={digest}&from={source.name}")
        if location:
            with source.stream(digest) as chunks:
                self._upload(location, digest, chunks, size)

    @contextmanager
    def stream(self, digest: str) -> Iterator[Iterator[bytes]]:
        """Yield the bytes of a blob without verifying its digest; the registry that receives them does so."""
        with self._reachable(), self._client.stream("GET", f"/v2/{self.name}/blobs/{digest}") as response:
            self._require(response, httpx.codes.OK, f"read {digest}")
            yield response.iter_raw(_CHUNK)

    def put_manifest(self, tag: str, manifest: ImageManifest) -> None:
        """Upload the manifest of an image, whose blobs must exist, under a tag."""
        headers = {"Content-Type": manifest.media_type}
        response = self._send("PUT", f"manifests/{tag}", content=manifest.data, headers=headers)
        self._require(response, httpx.codes.CREATED, f"store the image {tag}")

    def _begin(self, query: str) -> str:
        """Start an upload and return its location; empty if the blob was mounted."""
        response = self._send("POST", f"blobs/uploads/{query}")
        if response.status_code == httpx.codes.CREATED and query:
            return ""
        self._require(response, httpx.codes.ACCEPTED, "accept an upload")
        return _location(response)

    def _upload(self, location: str, digest: str, data: bytes | Iterator[bytes], size: int) -> None:
        # in one chunk, like all registry clients: ECR requires at least 5 MB for each chunk but the last
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
        with self._reachable():
            written = self._client.patch(location, content=data, headers=headers)
            self._require(written, httpx.codes.ACCEPTED, f"accept {digest}")
            location = _location(written)
            closed = self._client.put(location, params={**httpx.URL(location).params, "digest": digest})
            self._require(closed, httpx.codes.CREATED, f"store {digest}")

    def _send(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        with self._reachable():
            response = self._client.request(method, f"/v2/{self.name}/{path}", **arguments)
        if response.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            self._require(response, httpx.codes.OK, f"answer {method} {path.partition('?')[0]}")
        return response

    @contextmanager
    def _reachable(self) -> Iterator[None]:
        try:
            yield
        except httpx.HTTPError as error:
            raise UpstreamError(
                f"the image registry of {self._where} does not answer ({type(error).__name__}): "
                "check that this machine can reach it"
            ) from error

    def _require(self, response: httpx.Response, status: int, action: str) -> None:
        if response.status_code == status:
            return
        response.read()
        message = f"the image registry does not {action} in {self._where}: {_error_message(response)}"
        if response.is_server_error or response.status_code == httpx.codes.TOO_MANY_REQUESTS:
            raise UpstreamError(message)
        raise ReleaseError(message)

    def _check(self, data: bytes, digest: str) -> None:
        if sha256(data) != digest:
            raise IntegrityError(f"{self._where}@{digest} does not match its digest: push the image again")


def _location(response: httpx.Response) -> str:
    """Return the path of the Location header, without the host: the registry may use another name for itself."""
    return str(response.url.join(response.headers["Location"]).raw_path, "ascii")


def _error_message(response: httpx.Response) -> str:
    """Return the status, and the registry's message if there is one."""
    try:
        errors = json.loads(response.content)["errors"]
        message = "; ".join(str(error.get("message") or error["code"]) for error in errors)
    except (ValueError, KeyError, TypeError, AttributeError):
        message = response.text
    return f"{response.status_code} {' '.join(message.split())}"[:_MAX_CHARACTERS].strip()
