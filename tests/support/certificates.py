"""A certificate that signs itself."""

import subprocess
from pathlib import Path


def certificate(folder: Path) -> tuple[Path, Path]:
    """A new folder's chain and key, for `localhost` and `deposit.bank.test`; every user may read them."""
    folder.mkdir(mode=0o755)
    chain, key = folder / "chain.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=deposit.bank.test", "-addext", "subjectAltName=DNS:localhost,DNS:deposit.bank.test",
         "-keyout", str(key), "-out", str(chain)],
        check=True, capture_output=True,
    )  # fmt: skip
    key.chmod(0o644)
    return chain, key
