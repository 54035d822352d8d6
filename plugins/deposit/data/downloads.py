"""Download files over HTTP."""

from collections.abc import Generator
from pathlib import Path

import httpx

from deposit.errors import ConfigError, SourceError, UpstreamError
from deposit.progress import Progress


class Bearer(httpx.Auth):
    """Bearer token for the first host; httpx asks for it once, and drops the header on redirects to other hosts."""

    def __init__(self, token: str) -> None:
        self._token = token

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Add the token to the first request."""
        request.headers["Authorization"] = f"Bearer {self._token}"
        yield request


_OFFLINE = "try again later, or use DEPOSIT_INGEST__SOURCE=bundled, which needs no network"


def download(
    url: str, target: Path, progress: Progress, auth: httpx.Auth | None = None, auth_setting: str = ""
) -> Path:
    """Download `url` to `target`, following redirects; only the first host gets the credentials.

    Raises UpstreamError (no response, 5xx or 429), ConfigError (credentials rejected) or SourceError (other statuses).
    """
    progress(f"downloading {url}")
    timeout = httpx.Timeout(30, connect=10)
    transport = httpx.HTTPTransport(retries=2)
    try:
        with httpx.Client(timeout=timeout, transport=transport, follow_redirects=True, auth=auth) as client:
            _stream(client, url, target, progress, auth_setting)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise UpstreamError(f"cannot download {url}: {type(error).__name__} ({error}); {_OFFLINE}") from error
    return target


def _stream(client: httpx.Client, url: str, target: Path, progress: Progress, auth_setting: str) -> None:
    with client.stream("GET", url) as response:
        _raise_for_status(response, url, auth_setting)
        total = int(response.headers.get("content-length", 0))
        with target.open("wb") as file:
            for part in response.iter_bytes(2**20):
                file.write(part)
                progress(f"downloading {url}", response.num_bytes_downloaded, total)


def _raise_for_status(response: httpx.Response, url: str, auth_setting: str) -> None:
    status = response.status_code
    if response.is_success:
        return
    if status in (401, 403) and auth_setting:
        raise ConfigError(f"{url} refused the credentials (HTTP {status}): renew {auth_setting}")
    if status >= 500 or status == 429:
        raise UpstreamError(f"cannot download {url}: HTTP {status}; {_OFFLINE}")
    raise SourceError(f"cannot download {url}: HTTP {status}: correct the address or the dataset's name")
