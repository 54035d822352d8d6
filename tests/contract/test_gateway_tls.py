"""The gateway as a real Caddy, mostly with TLS, before a service that tells what it was sent."""

import gzip
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from caddy_gateway import gateway
from certificates import certificate
from chaos import until
from cryptography import x509

from deposit.release.gateway import Gateway, trust

pytestmark = pytest.mark.servers

AUTHORITY = Path("caddy", "pki", "authorities", "local", "root.crt")


class Service(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        if "X-Request-Id" in self.headers:
            self.send_header("X-Request-Id", self.headers["X-Request-Id"])
        self.end_headers()
        self.wfile.write(b"served")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path.startswith("/dies"):
            self.close_connection = True
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"{self.headers['Content-Encoding']} {body.hex()}".encode())

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def service() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Service)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def shows_certificates(address: str) -> bool:
    """Whether each name has its certificate: Caddy makes them after it listens, and shows another name's until then."""
    port = int(address.rpartition(":")[2])
    try:
        return all(host in _names(ssl.get_server_certificate((host, port))) for host in ("localhost", "127.0.0.1"))
    except OSError:
        return False


def _names(certificate_pem: str) -> set[str]:
    extensions = x509.load_pem_x509_certificate(certificate_pem.encode()).extensions
    return {str(name.value) for name in extensions.get_extension_for_class(x509.SubjectAlternativeName).value}


def test_its_own_authority_vouches_for_it(free_ports: Callable[[int], int], service: str) -> None:
    with gateway(free_ports, service, tls="internal") as (settings, url):
        until(lambda: shows_certificates(url))
        trusting = ssl.create_default_context(cafile=str(settings.state_dir / AUTHORITY))
        with httpx.Client(
            verify=trusting, trust_env=False, headers={"Authorization": "Bearer hush"}, timeout=60
        ) as client:
            answer = client.get(f"{url}/predict?who=somebody")
            # who connects to an address names no host
            assert client.get(url.replace("localhost", "127.0.0.1")).text == "served"
        assert answer.text == "served"
        assert answer.headers["strict-transport-security"].startswith("max-age=")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "server" not in answer.headers
        with (
            httpx.Client(trust_env=False, timeout=60) as client,
            pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY"),
        ):
            client.get(url)
        access = (settings.state_dir / "logs" / "access.log").read_text()
    first = json.loads(access.splitlines()[0])
    assert first["request"]["uri"] == "/predict?"
    assert "hush" not in access
    assert "somebody" not in access


def test_a_given_certificate_is_shown(free_ports: Callable[[int], int], service: str, tmp_path: Path) -> None:
    chain, key = certificate(tmp_path / "given")
    given = {"tls": "files", "certificate_file": chain, "key_file": key, "names": ("deposit.bank.test",)}
    trusting = ssl.create_default_context(cafile=str(chain))
    with gateway(free_ports, service, **given) as (settings, url):
        with httpx.Client(verify=trusting, trust_env=False, timeout=60) as client:
            assert client.get(url).text == "served"
        # the stack's own clients ask an address, which is not among the names
        with httpx.Client(verify=trust(settings.gateway, settings.state), trust_env=False, timeout=60) as client:
            assert client.get(settings.gateway_url).text == "served"
        another = settings.changed("gateway", certificate_file=certificate(tmp_path / "another")[0])
        with (
            httpx.Client(verify=trust(another.gateway, another.state), trust_env=False, timeout=60) as client,
            pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY"),
        ):
            client.get(settings.gateway_url)


def test_who_speaks_plainly_gets_no_answer_from_the_service(free_ports: Callable[[int], int], service: str) -> None:
    with gateway(free_ports, service, tls="internal") as (_, url):
        until(lambda: shows_certificates(url))
        with httpx.Client(trust_env=False, timeout=60) as client:
            answer = client.get(url.replace("https", "http"))
    assert answer.status_code == 400
    assert "served" not in answer.text


def test_the_stacks_own_parts_are_answered_plainly_at_their_own_place(
    free_ports: Callable[[int], int], service: str
) -> None:
    inside = f"127.0.0.1:{free_ports(1)}"
    with (
        gateway(free_ports, service, tls="internal", inside=inside),
        httpx.Client(trust_env=False, timeout=60) as client,
    ):
        answer = client.get(f"http://{inside}/models")
    assert answer.text == "served"
    assert "strict-transport-security" not in answer.headers


def test_every_answer_has_one_request_id_and_nobody_learns_what_serves(
    free_ports: Callable[[int], int], service: str
) -> None:
    with (
        gateway(free_ports, service) as (settings, _),
        httpx.Client(base_url=settings.gateway_url, trust_env=False, timeout=60) as client,
    ):
        for path, given, status in (("/models", None, 200), ("/models", "mine", 200), ("/dies", None, 502)):
            headers = {} if given is None else {"X-Request-Id": given}
            answer = client.post(path, content=b"") if status == 502 else client.get(path, headers=headers)
            assert answer.status_code == status
            (identity,) = answer.headers.get_list("x-request-id")
            assert identity == given if given else len(identity) == 36
            assert answer.headers["x-frame-options"] == "DENY"
            assert answer.headers.keys().isdisjoint({"server", "via"})


def test_before_a_release_and_after_a_withdrawal_it_says_so_at_once(
    free_ports: Callable[[int], int], service: str
) -> None:
    with (
        gateway(free_ports, service) as (settings, _),
        httpx.Client(base_url=settings.gateway_url, trust_env=False, timeout=60) as client,
    ):
        places = Gateway(settings)
        assert client.get("/models").text == "served"
        places.withdraw()
        large = b"x" * 10**6
        for answer in (
            client.get("/models"),
            client.post("/predict", content=b"{}"),
            client.post("/rank", content=large),
        ):
            assert answer.status_code == 503
            assert "deposit release" in answer.json()["detail"][0]["message"]
            assert len(answer.headers["x-request-id"]) == 36
            assert answer.headers["x-frame-options"] == "DENY"
        access = [json.loads(line) for line in (settings.state_dir / "logs" / "access.log").read_text().splitlines()]
        assert max(line["duration"] for line in access) < 10  # what a dial would be tried for
        # named last, the first place alone says that there is something
        (settings.state.caddy / "upstream-2").write_text(service)
        assert {client.get("/models").status_code for _ in range(24)} == {200, 503}
        places.point_to((service,))
        assert {client.get("/models").text for _ in range(24)} == {"served"}


def test_a_compressed_body_reaches_the_service_as_it_is(free_ports: Callable[[int], int], service: str) -> None:
    body = gzip.compress(b'{"customers": []}')
    with gateway(free_ports, service, tls="internal") as (settings, url):
        until(lambda: shows_certificates(url))
        trusting = ssl.create_default_context(cafile=str(settings.state_dir / AUTHORITY))
        with httpx.Client(verify=trusting, trust_env=False, timeout=60) as client:
            answer = client.post(f"{url}/predict", content=body, headers={"Content-Encoding": "gzip"})
    assert answer.text == f"gzip {body.hex()}"
