import base64
import gzip
import io
import lzma
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from deposit.data import sources
from deposit.data.sources import BUNDLED, ORIGINAL_SHA256, Source, fetch
from deposit.errors import ConfigError, IntegrityError, SourceError, UpstreamError
from deposit.progress import log_progress
from deposit.sections import IngestSettings

DATA = lzma.decompress(BUNDLED.read_bytes())
TOKENS = {
    "someone:very-secret-key": "Basic " + base64.b64encode(b"someone:very-secret-key").decode(),
    "KGAT_very-secret-key": "Bearer KGAT_very-secret-key",
}
"""Both forms in which Kaggle hands them out, and what each becomes in a request."""


def zipped(name: str, data: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("names.txt", "x")
        archive.writestr(name, data)
    return buffer.getvalue()


class Server(ThreadingHTTPServer):
    """Answers each path with what a test has put there: (status, body), and redirects for bodies that are addresses."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, tuple[int, bytes]] = {}
        self.seen: list[tuple[str, str | None]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.seen.append((self.path, self.headers.get("Authorization")))
        status, body = self.server.answers.get(self.path, (404, b""))
        self.send_response(status)
        if status == 302:
            self.send_header("Location", body.decode())
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    thread = threading.Thread(target=made.serve_forever, args=(0.05,))
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


@pytest.fixture
def uci(server: Server) -> IngestSettings:
    inner = zipped("bank-additional/bank-additional-full.csv", DATA)
    server.answers["/bank.zip"] = (200, zipped("bank-additional.zip", inner))
    return IngestSettings(source="uci", uci_url=f"{server.url}/bank.zip")


@pytest.fixture(params=TOKENS)
def token(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def kaggle(server: Server, token: str) -> IngestSettings:
    server.answers["/api/v1/datasets/download/a/b"] = (200, zipped("bank-additional-full.csv", DATA))
    return IngestSettings(source="kaggle", kaggle_url=server.url, kaggle_dataset="a/b", kaggle_token=token)


def fetched(settings: IngestSettings, folder: Path) -> Source:
    return fetch(settings, folder, log_progress)


def test_the_bundled_file_is_the_original(tmp_path: Path) -> None:
    source = fetched(IngestSettings(), tmp_path)
    assert source.sha256 == ORIGINAL_SHA256
    assert source.path.read_bytes() == DATA


def test_a_changed_bundled_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = tmp_path / "bank-additional-full.csv.xz"
    changed.write_bytes(lzma.compress(DATA.replace(b"56", b"57", 1)))
    monkeypatch.setattr("deposit.data.sources.BUNDLED", changed)
    with pytest.raises(IntegrityError, match=f"not {ORIGINAL_SHA256}"):
        fetched(IngestSettings(), tmp_path)


def test_uci_s_nested_zip_gives_the_original(uci: IngestSettings, tmp_path: Path) -> None:
    assert fetched(uci, tmp_path).path.read_bytes() == DATA


def test_another_file_from_uci_is_refused(uci: IngestSettings, server: Server, tmp_path: Path) -> None:
    server.answers["/bank.zip"] = (200, zipped("bank-additional-full.csv", DATA[:-100]))
    with pytest.raises(IntegrityError, match=f"not {ORIGINAL_SHA256}"):
        fetched(uci, tmp_path)


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        ((200, b"<html>"), SourceError, r"bank.zip: this is a web page \(HTML\), not a CSV"),
        ((200, zipped("x.csv", b"1")[:-30]), SourceError, "not a complete .zip archive"),
        ((200, zipped("other.csv", b"1")), SourceError, "holds no bank-additional-full.csv"),
        ((404, b""), SourceError, "HTTP 404"),
        ((503, b""), UpstreamError, "HTTP 503; try again later, or use DEPOSIT_INGEST__SOURCE=bundled"),
    ],
)
def test_what_uci_may_answer_instead_is_reported(
    uci: IngestSettings, server: Server, tmp_path: Path, answer: tuple[int, bytes], error: Any, message: str
) -> None:
    server.answers["/bank.zip"] = answer
    with pytest.raises(error, match=message):
        fetched(uci, tmp_path)


def test_no_network_is_reported(tmp_path: Path, free_ports: Any) -> None:
    url = f"http://127.0.0.1:{free_ports(1)}/bank.zip"
    with pytest.raises(UpstreamError, match=r"cannot download .*ConnectError.*SOURCE=bundled"):
        fetched(IngestSettings(source="uci", uci_url=url), tmp_path)


def test_kaggle_gets_the_token_and_no_one_else_does(
    kaggle: IngestSettings, token: str, server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    other = Server()
    thread = threading.Thread(target=other.serve_forever, args=(0.05,))
    thread.start()
    path = "/api/v1/datasets/download/a/b"
    other.answers["/stored"] = server.answers[path]
    server.answers[path] = (302, f"{other.url}/stored".encode())
    source = fetched(kaggle, tmp_path)
    other.shutdown()
    thread.join()
    other.server_close()
    assert source.path.read_bytes() == DATA
    assert server.seen == [(path, TOKENS[token])]
    assert other.seen == [("/stored", None)]
    assert "very-secret-key" not in caplog.text + repr(source)


def test_a_refused_token_is_reported_without_showing_it(kaggle: IngestSettings, server: Server, tmp_path: Path) -> None:
    server.answers["/api/v1/datasets/download/a/b"] = (401, b"")
    with pytest.raises(ConfigError, match=r"HTTP 401.*renew DEPOSIT_INGEST__KAGGLE_TOKEN") as caught:
        fetched(kaggle, tmp_path)
    assert "very-secret-key" not in str(caught.value)


@pytest.mark.parametrize("token", [None, "", " ", ":key", "user:", "KGAT_a\nb", "KGAT_ü"])
def test_a_token_of_another_form_is_refused(token: str | None, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"KGAT_…. or username:key"):
        fetched(IngestSettings(source="kaggle", kaggle_token=token), tmp_path)


@pytest.mark.parametrize(
    ("suffix", "data"), [(".gz", b"\x1f\x8bx"), (".gz", gzip.compress(DATA)[:-9]), (".xz", lzma.compress(b"x")[:-9])]
)
@pytest.mark.parametrize("name", ["file", "file.csv"])
def test_a_damaged_archive_is_reported_whatever_its_name(tmp_path: Path, suffix: str, data: bytes, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(SourceError, match=f"not a complete {suffix} file"):
        sources.from_file(path, tmp_path / "copy")


def test_a_full_disk_is_reported() -> None:
    with pytest.raises(ConfigError, match=r"no space left in .*TMPDIR"), sources.disk(Path("/tmp")):
        sources.from_file(BUNDLED, Path("/dev/full"))


def test_a_temporary_folder_that_cannot_be_made_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))
    with pytest.raises(ConfigError, match=r"cannot create a temporary folder .*TMPDIR"), sources.folder():
        pass


def test_nothing_is_left_in_the_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with sources.folder() as folder:
        fetched(IngestSettings(), folder)
    assert list(tmp_path.iterdir()) == []
