"""However a request was written, PostgreSQL gets what the plain one gives it."""

import asyncio
import gzip
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deposit.data.columns import FEATURES, NAMES, Category
from deposit.model.artifact import ModelArtifact
from deposit.settings import Settings
from serving.application import Application

pytestmark = pytest.mark.servers

WHOLE = {column.name for column in FEATURES if not isinstance(column, Category) and column.integer}
SPELLINGS = ("{0}", "{0}.0", "{0}.000", "{0}e0", "{0}E+0", "{1}e-1", "{1}.0e-1")
CHARSETS = [
    ("utf-8", ""), ("utf-8-sig", ""), ("utf-16", ""), ("utf-16-be", ""), ("utf-32", ""), ("utf-8", "utf-8"),
    ("windows-1252", "windows-1252"),
]  # fmt: skip
CODINGS: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("identity", bytes),
    ("gzip", gzip.compress),
    ("deflate", zlib.compress),
    ("gzip", lambda body: gzip.compress(body[:50]) + gzip.compress(body[50:])),
]
IDS = st.none() | st.integers(-(2**63), 2**63 - 1) | st.text("aé€ \"\\\t;,\n'", max_size=10)


@pytest.fixture(scope="module")
def model(make_model: Callable[..., ModelArtifact], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    make_model(folder, version=7)
    return folder


@pytest.fixture
def post(
    log: Any, model: Path, make_application: Callable[[Settings, Path], Application], tmp_path: Path
) -> Callable[..., list[tuple[Any, ...]]]:
    """Sends a body to /predict and its log to PostgreSQL; gives what is stored, with the answer before each row."""
    transport = httpx.ASGITransport(make_application(Settings(state_dir=tmp_path / "state"), model))
    columns = ", ".join(f'"{name.replace(".", "_")}"' for name in NAMES)

    def send(body: bytes, kind: str, coding: str) -> list[tuple[Any, ...]]:
        headers = {"Content-Type": kind, "Content-Encoding": coding}

        async def call() -> httpx.Response:
            async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
                return await client.post("/predict", content=body, headers=headers)

        response = asyncio.run(call())
        assert response.status_code == 200, response.text
        log.ship()
        rows = log.ask(f"SELECT prediction_id::text, customer_id, probability, {columns} FROM predictions")
        stored = {prediction_id: row for prediction_id, *row in rows}
        return [(p["id"], p["probability"], *stored[p["prediction_id"]]) for p in response.json()["predictions"]]

    return send


def _written(customers: list[dict[str, Any]], data: st.DataObject) -> str:
    """The request's JSON, its whole numbers in any spelling."""

    def value(name: str, given: Any) -> str:
        if name not in WHOLE:
            return json.dumps(given, ensure_ascii=data.draw(st.booleans()))
        return data.draw(st.sampled_from(SPELLINGS)).format(given, 10 * given)

    rows = [", ".join(f'"{name}": {value(name, given)}' for name, given in row.items()) for row in customers]
    return f'{{"customers": [{", ".join(f"{{{row}}}" for row in rows)}]}}'


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_every_spelling_is_stored_like_the_plain_one(
    log: Any, post: Callable[..., list[tuple[Any, ...]]], customers: list[dict[str, Any]], data: st.DataObject
) -> None:
    log.ask("TRUNCATE predictions, predictions_by_minute")
    sent = [
        {**row, "id": data.draw(IDS)} for row in data.draw(st.lists(st.sampled_from(customers), min_size=1, max_size=3))
    ]
    codec, charset = data.draw(st.sampled_from(CHARSETS))
    coding, compress = data.draw(st.sampled_from(CODINGS))
    kind = f"application/json; charset={charset}" if charset else "application/json"
    plain = post(json.dumps({"customers": sent}).encode(), "application/json", "identity")
    assert post(compress(_written(sent, data).encode(codec)), kind, coding) == plain
    for row, (id_, answered, customer_id, probability, *values) in zip(sent, plain, strict=True):
        assert (id_, answered, values) == (row["id"], probability, [row[name] for name in NAMES])
        assert customer_id == (None if row["id"] is None else str(row["id"]))
