"""The embedded object store: SeaweedFS in one process, with one identity per service and the least rights it needs."""

import hashlib
import hmac
import ipaddress
import json
import os
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from deposit.deploy.bucket_policies import ADMIN, grants
from deposit.deploy.credentials import Credentials, write_private
from deposit.deploy.layout import Layout
from deposit.errors import ConfigError
from deposit.sections import StoreSettings

INTERNAL_PORTS = 7
"""Number of consecutive ports for the server's own components."""
RESERVE = "256MiB"
"""Disk space that is kept free; the default is 1 %, which on a large disk is more than the stack needs."""
ENVIRONMENT = {"WEED_MASTER_VOLUME_GROWTH_COPY_1": "1"}
"""A bucket starts with one volume: with the default of seven, one or two buckets would use up a small disk."""
_ALL = ("Read", "Write", "List", "Tagging")


@dataclass(frozen=True)
class Identity:
    """A key and its rights in SeaweedFS's terms (`Read:bucket`, `Write:bucket`, `List:bucket`, `Admin`)."""

    name: str
    access_key: str
    secret_key: str = field(repr=False)
    actions: tuple[str, ...]


def identities(store: StoreSettings, secrets: Credentials) -> list[Identity]:
    """The identities of the administrator and of each service."""
    of_parts = [
        Identity(grant.name, grant.name, grant.secret, (*_may(("Read",), grant.reads), *_may(_ALL, grant.writes)))
        for grant in grants(store, secrets)
    ]
    return [Identity(ADMIN, ADMIN, secrets.store_admin, ("Admin",)), *of_parts]


def identities_file(identities: list[Identity]) -> str:
    """The content of the server's identities file; contains secrets."""
    content = {
        "identities": [
            {
                "name": identity.name,
                "credentials": [{"accessKey": identity.access_key, "secretKey": identity.secret_key}],
                "actions": list(identity.actions),
            }
            for identity in identities
        ]
    }
    return json.dumps(content, indent=1)


def configure(place: Layout, identities: list[Identity], secret: str, internal_port: int) -> None:
    """Write the server's configuration files, readable by their owner only; `secret` protects its internal ports.

    Raises ConfigError if sockets of another user are in the way.
    """
    foreign = [path for path in _sockets(internal_port) if path.is_socket() and path.lstat().st_uid != os.geteuid()]
    if foreign:
        raise ConfigError(
            f"{', '.join(map(str, foreign))}: left by another user's object store on the same ports, which ours would "
            "wait for; have them removed, or set DEPOSIT_STACK__INTERNAL_PORT"
        )
    write_private(place.identities, identities_file(identities))
    write(place.guard, secret)


def _sockets(internal_port: int) -> list[Path]:
    """Sockets that the server creates for its gRPC ports at these paths; no option changes them."""
    parts = {"master": 1, "volume": 3, "filer": 5, "s3": 6}
    return [Path(f"/tmp/seaweedfs-{part}-grpc-{internal_port + place}.sock") for part, place in parts.items()]  # noqa: S108


def command(place: Layout, port: int, internal_port: int) -> list[str]:
    """The server's command line, with paths relative to `place.root`: it would split an absolute one at a comma.

    It listens on 127.0.0.1 only. Its components use `internal_port` and the next 6, which `place.guard` protects. The
    folders must exist. SIGTERM stops it within about 15 s.
    """
    guard, logs, objects, identities = (
        path.relative_to(place.root) for path in (place.guard, place.logs, place.objects, place.identities)
    )
    master, volume, filer = internal_port, internal_port + 2, internal_port + 4
    return [
        str(Path(sys.executable).parent / "weed"), f"-config_dir={guard}", f"-logdir={logs}",
        "server", f"-dir={objects}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
        # the master's HTTP API issues tokens for volumes, the filer's gives access to the same objects
        "-disableHttp",
        f"-master.port={master}", f"-master.port.grpc={master + 1}",
        # small volumes, as many as fit on the disk: one bucket would use up the default of 8
        "-master.volumeSizeLimitMB=256", "-volume.max=0", f"-volume.minFreeSpace={RESERVE}", "-master.telemetry=false",
        f"-volume.port={volume}", f"-volume.port.grpc={volume + 1}", "-volume.preStopSeconds=0",
        "-filer", f"-filer.port={filer}", f"-filer.port.grpc={filer + 1}",
        f"-filer.localSocket={place.sockets / 'filer.sock'}",
        "-s3", f"-s3.port={port}", f"-s3.port.grpc={internal_port + 6}", f"-s3.config={identities}",
        # no Iceberg or Lance catalogue, no IAM server, no socket in a folder that stacks share
        "-s3.port.iceberg=0", "-s3.port.lance=0", "-iam=false", f"-s3.localSocket={place.sockets / 's3.sock'}",
    ]  # fmt: skip


def _may(actions: tuple[str, ...], buckets: tuple[str, ...]) -> list[str]:
    return [f"{action}:{bucket}" for bucket in buckets for action in actions]


_CERTIFICATE, _KEY = "guard.crt", "guard.key"
_PARTS = ("master", "volume", "filer", "s3", "client")
_TOKENS = ("signing", "signing.read", "filer_signing", "filer_signing.read")
_FROM, _UNTIL = datetime(2020, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)


def files(folder: Path, secret: str) -> dict[str, str]:
    """The server's security files by name, always the same for the same secret; they contain secrets.

    Args:
        folder: folder in which the server will see the files.
        secret: secret that all keys are derived from.
    """
    key = Ed25519PrivateKey.from_private_bytes(_derived(secret, "certificate"))
    # JSON strings are valid in TOML, except for surrogates
    certificate, private = (json.dumps(str(folder / name), ensure_ascii=False) for name in (_CERTIFICATE, _KEY))
    sections = [f"[grpc]\nca = {certificate}\n"]
    sections += [f"[grpc.{part}]\ncert = {certificate}\nkey = {private}\n" for part in _PARTS]
    sections += [f'[jwt.{token}]\nkey = "{_derived(secret, token).hex()}"\n' for token in _TOKENS]
    return {
        "security.toml": "".join(sections),
        _CERTIFICATE: _certificate(key).public_bytes(Encoding.PEM).decode(),
        _KEY: key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
    }


def write(folder: Path, secret: str) -> None:
    """Write the security files, readable by their owner only."""
    for name, content in files(folder, secret).items():
        write_private(folder / name, content)


def _derived(secret: str, purpose: str) -> bytes:
    return hmac.digest(secret.encode(), f"object store: {purpose}".encode(), hashlib.sha256)


def _certificate(key: Ed25519PrivateKey) -> x509.Certificate:
    """One certificate for server, client and authority, since both ends of every connection are in one process."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "deposit object store")])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(_FROM)
        .not_valid_after(_UNTIL)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, None)
    )
