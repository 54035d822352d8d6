"""The server: `python -m simulated_aws -H 127.0.0.1 -p PORT`; what it holds is lost with it."""

from importlib.metadata import version

from moto.server import main

from simulated_aws.patches import PATCHES

PATCHED_VERSION = "5.2.5"

if version("moto") != PATCHED_VERSION:
    raise SystemExit(f"moto {version('moto')} is installed: the patches fit {PATCHED_VERSION} alone, see them through")
for patch in PATCHES:
    patch()
main()
