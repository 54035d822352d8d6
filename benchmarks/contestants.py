"""The peers: how each is started, its expected responses and the predictions that it must have logged."""

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import joblib
import pandas as pd

from benchmarks.materials import Materials
from benchmarks.postgres import Database
from deposit.data.columns import NAMES
from deposit.keys import add
from deposit.log.spool import Spool
from deposit.model.artifact import ModelArtifact
from deposit.release.targets.environment import service_variables
from deposit.settings import REPOSITORY, Settings

SERVICE, GATEWAY = "c", "e"
PEERS = Path(__file__).parent / "peers"
TOOLS = Path(sys.executable).parent
_BASE = {"PATH": os.defpath, "OMP_NUM_THREADS": "1", "BENTOML_DO_NOT_TRACK": "true"}
Probabilities = Callable[[Any], list[float]]


@dataclass(frozen=True)
class Command:
    """A command line and its complete environment."""

    words: list[str]
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Peer:
    """One contestant.

    Args:
        letter: name in the tables.
        title: description.
        command: function from the port to listen on to the command that starts it.
        expected: probabilities of `Materials.customers`, computed with the model directly.
        probabilities: function that extracts the probabilities from a decoded response.
        key: file with the API key, if one is needed.
        beside: auxiliary program that runs next to the server.
        logged: function that counts the predictions stored so far; None if there is no log.
        waiting: function that counts the predictions on disk that are not stored yet.
        rows_counted: whether `logged` counts customers rather than requests.
    """

    letter: str
    title: str
    command: Callable[[int], Command]
    expected: list[float] = field(repr=False)
    probabilities: Probabilities
    key: Path | None = None
    beside: Command | None = None
    logged: Callable[[], int] | None = None
    waiting: Callable[[], int] = field(default=lambda: 0)
    rows_counted: bool = False


def peers(materials: Materials, database: Database) -> list[Peer]:
    """Return all four peers, after creating their databases."""
    artifact = ModelArtifact.load(materials.model)
    rows = [[customer[name] for name in NAMES] for customer in materials.customers]
    ours = artifact.probabilities(artifact.encoder.encode_rows(rows)).tolist()
    pipeline = joblib.load(materials.pipeline)
    theirs = pipeline.predict_proba(pd.DataFrame(materials.customers))[:, 1].tolist()
    return [
        _flask(materials, database, theirs),
        _quickstart(materials, theirs),
        _service(materials, database, ours),
        _lean(materials, ours),
    ]


def service_settings(materials: Materials, database: Database) -> Settings:
    """Return the settings of peer (c): its own folder and database, and an API key."""
    state = materials.folder / "state"
    settings = Settings(state_dir=state, database=database.settings("deposit"))
    return settings.changed("serve", keys_file=state / "keys.json")


def _flask(materials: Materials, database: Database, expected: list[float]) -> Peer:
    database.make("flask")
    words = [sys.executable, str(PEERS / "flask_app.py"), "--model", str(materials.pipeline), "--port"]
    environment = _BASE | database.variables("flask")
    return Peer(
        "a", "Flask + Waitress (4 threads), scikit-learn pipeline on a DataFrame, one INSERT per request",
        lambda port: Command([*words, str(port)], environment), expected, _listed,
        logged=lambda: database.count("flask"),
    )  # fmt: skip


def _quickstart(materials: Materials, expected: list[float]) -> Peer:
    words = [str(TOOLS / "bentoml"), "serve", "quickstart:Quickstart", "--working-dir", str(PEERS), "--port"]
    environment = _BASE | {"BENTOML_HOME": str(materials.store), "HOME": str(materials.folder)}
    return Peer(
        "b", "BentoML as in its quickstart, the same pipeline, no log",
        lambda port: Command([*words, str(port)], environment), expected, list,
    )  # fmt: skip


def _service(materials: Materials, database: Database, expected: list[float]) -> Peer:
    database.make("deposit")
    database.migrate("deposit")
    settings = service_settings(materials, database)
    settings.state_dir.mkdir()
    key = materials.folder / "key"
    assert settings.serve.keys_file is not None  # noqa: S101 - set above
    key.write_text(add(settings.serve.keys_file, "bench", ["predict"], None, None)[1])
    spool = Spool.of(settings)
    environment = _BASE | {"BENTOML_HOME": str(materials.bento), "BENTOML_CONFIG_OPTIONS": "tracing.excluded_urls=.*"}
    environment |= service_variables(settings, materials.folder / "none")
    words = [sys.executable, str(materials.bento / "src" / "launch.py"), "--port"]
    writer = settings.database.writer_url
    shipper = {"DEPOSIT_STATE_DIR": str(settings.state_dir), "DEPOSIT_LOG__POLL_SECONDS": "0.2"}
    shipper |= {"DEPOSIT_DATABASE__WRITER_URL": writer.get_secret_value() if writer else ""}
    return Peer(
        "c", "this service: key checked, input validated, prediction durable on disk before the response",
        lambda port: Command([*words, str(port)], environment), expected, _listed, key,
        beside=Command([str(TOOLS / "deposit"), "shipper"], _BASE | shipper),
        logged=lambda: database.count("deposit"), waiting=lambda: spool.state().rows, rows_counted=True,
    )  # fmt: skip


def _lean(materials: Materials, expected: list[float]) -> Peer:
    words = [sys.executable, str(PEERS / "lean.py"), "--model", str(materials.model), "--port"]
    environment = _BASE | {"PYTHONPATH": str(REPOSITORY / "plugins")}
    return Peer(
        "d", "the lean limit: decode, encode, predict, no key, no log",
        lambda port: Command([*words, str(port)], environment), expected, _listed,
    )  # fmt: skip


def _listed(answer: Any) -> list[float]:
    return [prediction["probability"] for prediction in answer["predictions"]]
