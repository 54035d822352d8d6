"""The embedded object store: SeaweedFS, one process, one identity per part with the least it needs."""

import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

from deposit.errors import ConfigError
from deposit.sections import StoreSettings
from deposit.stack import storeguard
from deposit.stack.credentials import Credentials, write_private
from deposit.stack.grants import ADMIN, grants
from deposit.stack.layout import Layout

INTERNAL_PORTS = 7
"""How many neighbouring ports the server's own parts take."""
_ALL = ("Read", "Write", "List", "Tagging")


@dataclass(frozen=True)
class Identity:
    """A key and what it may do, in SeaweedFS's words (`Read:bucket`, `Write:bucket`, `List:bucket`, `Admin`)."""

    name: str
    access_key: str
    secret_key: str = field(repr=False)
    actions: tuple[str, ...]


def identities(store: StoreSettings, secrets: Credentials) -> list[Identity]:
    """The stack's keys."""
    found = [
        Identity(grant.name, grant.name, grant.secret, (*_may(("Read",), grant.reads), *_may(_ALL, grant.writes)))
        for grant in grants(store, secrets)
    ]
    return [Identity(ADMIN, ADMIN, secrets.store_admin, ("Admin",)), *found]


def identities_file(identities: list[Identity]) -> str:
    """The content of the server's identities file; holds secrets."""
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
    """Write what the server reads at its start, readable by its owner alone; `secret` guards its inner ports.

    Raises ConfigError if another user's sockets are in its way.
    """
    foreign = [path for path in _sockets(internal_port) if path.is_socket() and path.lstat().st_uid != os.geteuid()]
    if foreign:
        raise ConfigError(
            f"{', '.join(map(str, foreign))}: left by another user's object store on the same ports, which ours would "
            "wait for; have them removed, or set DEPOSIT_STACK__INTERNAL_PORT"
        )
    write_private(place.identities, identities_file(identities))
    storeguard.write(place.guard, secret)


def _sockets(internal_port: int) -> list[Path]:
    """Sockets beside the ports of gRPC, where the server has them whatever it is given."""
    parts = {"master": 1, "volume": 3, "filer": 5, "s3": 6}
    return [Path(f"/tmp/seaweedfs-{part}-grpc-{internal_port + place}.sock") for part, place in parts.items()]  # noqa: S108


def command(place: Layout, port: int, internal_port: int) -> list[str]:
    """The server's command line, to be run in `place.root`, whose own path may hold a comma, which it would split at.

    127.0.0.1 only; takes `internal_port` and the 6 after it for its own parts, which `place.guard` keeps strangers
    from. The folders must exist. SIGTERM stops it within some 15 s.
    """
    guard, logs, objects, identities = (
        path.relative_to(place.root) for path in (place.guard, place.logs, place.objects, place.identities)
    )
    master, volume, filer = internal_port, internal_port + 2, internal_port + 4
    return [
        str(Path(sys.executable).parent / "weed"), f"-config_dir={guard}", f"-logdir={logs}",
        "server", f"-dir={objects}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
        # the master's HTTP hands out volumes' tokens, the filer's is another door to the same objects
        "-disableHttp",
        f"-master.port={master}", f"-master.port.grpc={master + 1}",
        # small volumes, as many as the disk holds: the default 8 are full after one bucket
        "-master.volumeSizeLimitMB=256", "-volume.max=0", "-master.telemetry=false",
        f"-volume.port={volume}", f"-volume.port.grpc={volume + 1}", "-volume.preStopSeconds=0",
        "-filer", f"-filer.port={filer}", f"-filer.port.grpc={filer + 1}",
        f"-filer.localSocket={place.sockets / 'filer.sock'}",
        "-s3", f"-s3.port={port}", f"-s3.port.grpc={internal_port + 6}", f"-s3.config={identities}",
        # no Iceberg or Lance catalogue, no IAM server, no socket in a folder that two stacks would share
        "-s3.port.iceberg=0", "-s3.port.lance=0", "-iam=false", f"-s3.localSocket={place.sockets / 's3.sock'}",
    ]  # fmt: skip


def _may(actions: tuple[str, ...], buckets: tuple[str, ...]) -> list[str]:
    return [f"{action}:{bucket}" for bucket in buckets for action in actions]
