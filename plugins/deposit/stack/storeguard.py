"""What keeps strangers from the object store's inner ports: keys and a certificate, all derived from one secret.

SeaweedFS's master, volumes and filer ask for no S3 key; whoever may talk to them reads and writes every bucket. With
these files the volumes take nothing without a token, and gRPC nothing without the certificate, which one process holds.
"""

import hashlib
import hmac
import ipaddress
import json
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from deposit.stack.credentials import write_private

_CERTIFICATE, _KEY = "guard.crt", "guard.key"
_PARTS = ("master", "volume", "filer", "s3", "client")
_TOKENS = ("signing", "signing.read", "filer_signing", "filer_signing.read")
_FROM, _UNTIL = datetime(2020, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)


def files(folder: Path, secret: str) -> dict[str, str]:
    """The server's security files by name, always the same for a secret; they hold secrets.

    Args:
        folder: where the server will see them.
        secret: that all keys are derived from.
    """
    key = Ed25519PrivateKey.from_private_bytes(_derived(secret, "certificate"))
    # JSON's strings are TOML's, but for surrogates
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
    """Write the security files, readable by their owner alone."""
    for name, content in files(folder, secret).items():
        write_private(folder / name, content)


def _derived(secret: str, purpose: str) -> bytes:
    return hmac.digest(secret.encode(), f"object store: {purpose}".encode(), hashlib.sha256)


def _certificate(key: Ed25519PrivateKey) -> x509.Certificate:
    """Server's, client's and authority's at once: both ends of every connection are one process."""
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
