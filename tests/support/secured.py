"""TLS in front of a real PostgreSQL, whose embedded build has none: an authority, a certificate, the server's end."""

import asyncio
import ipaddress
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from pydantic import SecretStr

HOST = "127.0.0.1"


@dataclass(frozen=True)
class SecuredDatabase:
    """Its port and superuser; the bundle of its authority, and one of another."""

    port: int
    password: str
    ca_file: Path
    stranger: Path

    def url(self, user: str, password: str = "") -> SecretStr:
        """The URL of its database `postgres`."""
        login = f"{user}:{password}" if password else user
        return SecretStr(f"postgresql://{login}@{HOST}:{self.port}/postgres")


_SSL_REQUEST = struct.pack("!ii", 8, 80877103)
"""PostgreSQL's frontend protocol, message SSLRequest; the answer `S` begins TLS."""


@contextmanager
def tls_in_front(server_port: int, certificate: Path, key: Path) -> Iterator[int]:
    """A port that takes TLS alone, as `rds.force_ssl` has it, and passes what it hears to the server."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    async def serve(client: asyncio.StreamReader, answer: asyncio.StreamWriter) -> None:
        with suppress(OSError, EOFError):
            if await client.readexactly(len(_SSL_REQUEST)) == _SSL_REQUEST:
                answer.write(b"S")
                await answer.start_tls(context)
                server, question = await asyncio.open_connection(HOST, server_port)
                await asyncio.gather(_pass(client, question), _pass(server, answer))
        answer.close()

    loop, started = asyncio.new_event_loop(), threading.Event()
    listening = loop.run_until_complete(asyncio.start_server(serve, HOST, 0))
    thread = threading.Thread(target=lambda: (loop.call_soon(started.set), loop.run_forever()), daemon=True)
    thread.start()
    started.wait()
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        listening.close()
        loop.run_until_complete(_end(loop))
        loop.close()


async def _pass(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(2**16):
            target.write(data)
            await target.drain()
    finally:
        target.close()


async def _end(loop: asyncio.AbstractEventLoop) -> None:
    tasks = asyncio.all_tasks(loop) - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def write_authority(name: str, bundle: Path) -> ec.EllipticCurvePrivateKey:
    """Make an authority whose certificate is in `bundle`; its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    bundle.write_bytes(_certificate(name, key, name, key).public_bytes(Encoding.PEM))
    return key


def write_server(issuer: str, signer: ec.EllipticCurvePrivateKey, folder: Path, host: str = HOST) -> tuple[Path, Path]:
    """Make a certificate for an address or a host's name, and its key; their files, as files of the folder."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate, private = folder / "server.crt", folder / "server.key"
    certificate.write_bytes(_certificate("database", key, issuer, signer, host).public_bytes(Encoding.PEM))
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return certificate, private


def _certificate(
    name: str, key: ec.EllipticCurvePrivateKey, issuer: str, signer: ec.EllipticCurvePrivateKey, host: str = HOST
) -> x509.Certificate:
    now = datetime.now(UTC)
    subject, by = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)]) for text in (name, issuer))
    try:
        named: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        named = x509.DNSName(host)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=name == issuer, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([named]), critical=False)
        .sign(signer, SHA256())
    )
