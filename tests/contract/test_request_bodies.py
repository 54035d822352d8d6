"""Bodies as clients send them, at every door: compressed, with marks, in other charsets."""

import csv
import gzip
import io
import json
import uuid
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from inprocess import InProcess

from deposit.data.columns import NAMES
from deposit.log.entries import ScoredRequest
from deposit.model.artifact import ModelArtifact
from deposit.settings import Settings
from serving.application import Application

MOST = 100_000
JSON = "application/json"


class Service(InProcess):
    """Takes a body at any door."""

    def post(self, path: str, body: Any, kind: str = JSON, **headers: str) -> httpx.Response:
        return self.ask(path, content=body, headers={"Content-Type": kind, **headers})


@pytest.fixture(scope="module")
def service(
    make_model: Callable[..., ModelArtifact],
    make_application: Callable[[Settings, Path], Application],
    tmp_path_factory: pytest.TempPathFactory,
) -> Service:
    folder = tmp_path_factory.mktemp("bodies")
    make_model(folder / "model", version=7)
    limits = Settings(state_dir=folder / "state").changed("serve", max_body_bytes=MOST, max_rank_bytes=MOST)
    return Service(make_application(limits, folder / "model"), limits)


@pytest.fixture(autouse=True)
def _nothing_logged(service: Service) -> None:
    service.logged()


@pytest.fixture
def bodies(customers: list[dict[str, Any]]) -> dict[str, tuple[bytes, str]]:
    """A good body for each door, with its media type."""
    text = io.StringIO()
    writer = csv.DictWriter(text, NAMES)
    writer.writeheader()
    writer.writerows(customers[:3])
    outcome = {"prediction_id": str(uuid.uuid4()), "subscribed": True}
    return {
        "/predict": (json.dumps({"customers": customers[:3]}).encode(), JSON),
        "/rank": (text.getvalue().encode(), "text/csv"),
        "/outcomes": (json.dumps({"outcomes": [outcome]}).encode(), JSON),
    }


DOORS = pytest.mark.parametrize("path", ["/predict", "/rank", "/outcomes"])


def _message(response: httpx.Response, status: int) -> str:
    assert response.status_code == status, response.text
    (problem,) = response.json()["detail"]
    message: str = problem["message"]
    return message


@DOORS
@pytest.mark.parametrize(("coding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_every_door_reads_what_is_compressed(
    service: Service, bodies: dict[str, tuple[bytes, str]], path: str, coding: str, compress: Callable[[bytes], bytes]
) -> None:
    body, kind = bodies[path]
    assert service.post(path, compress(body), kind, **{"Content-Encoding": coding}).status_code == 200
    (logged,) = service.logged()
    if isinstance(logged, ScoredRequest):
        assert logged.body == body


def test_a_form_may_be_compressed(service: Service, bodies: dict[str, tuple[bytes, str]]) -> None:
    request = httpx.Request("POST", "http://service/rank", files={"file": ("list.csv", bodies["/rank"][0])})
    body, kind = gzip.compress(request.read()), request.headers["content-type"]
    assert service.post("/rank", body, kind, **{"Content-Encoding": "gzip"}).json()["rows"] == 3


def test_a_compressed_body_may_come_in_parts(service: Service, bodies: dict[str, tuple[bytes, str]]) -> None:
    body = gzip.compress(bodies["/predict"][0])

    async def parts() -> Any:
        for start in range(0, len(body), 10):
            yield body[start : start + 10]

    assert service.post("/predict", parts(), **{"Content-Encoding": "gzip"}).status_code == 200


@DOORS
@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, gzip"])
def test_every_door_names_a_coding_that_it_does_not_read(
    service: Service, bodies: dict[str, tuple[bytes, str]], path: str, coding: str
) -> None:
    response = service.post(path, *bodies[path], **{"Content-Encoding": coding})
    assert f"Content-Encoding: {coding} is not supported" in _message(response, 415)
    assert response.headers["accept-encoding"] == "gzip, deflate"


@DOORS
def test_every_door_stops_a_bomb(service: Service, bodies: dict[str, tuple[bytes, str]], path: str) -> None:
    bomb = gzip.compress(bytes(100 * MOST))
    assert len(bomb) < MOST
    response = service.post(path, bomb, bodies[path][1], **{"Content-Encoding": "gzip"})
    assert f"larger than {MOST} bytes once decompressed" in _message(response, 413)


def test_streams_without_content_do_not_pass_the_limit(service: Service) -> None:
    def endless() -> Iterator[bytes]:
        empty = gzip.compress(b"")
        for _ in range(MOST // len(empty) + 2):
            yield empty

    async def parts() -> Any:
        for part in endless():
            yield part

    assert "larger than" in _message(service.post("/predict", parts(), **{"Content-Encoding": "gzip"}), 413)


@DOORS
def test_every_door_refuses_what_is_damaged(service: Service, bodies: dict[str, tuple[bytes, str]], path: str) -> None:
    body, kind = bodies[path]
    gzipped = {"Content-Encoding": "gzip"}
    assert "not compressed as gzip" in _message(service.post(path, body, kind, **gzipped), 400)
    assert "ends before" in _message(service.post(path, gzip.compress(body)[:-9], kind, **gzipped), 400)
    assert service.logged() == []


@pytest.mark.parametrize("path", ["/predict", "/outcomes"])
@pytest.mark.parametrize(
    ("codec", "kind"),
    [("utf-8-sig", JSON), ("utf-16", JSON), ("utf-32-be", JSON), ("windows-1252", f"{JSON}; charset=Windows-1252")],
)
def test_json_is_read_in_other_charsets(
    service: Service, bodies: dict[str, tuple[bytes, str]], path: str, codec: str, kind: str
) -> None:
    body, _ = bodies[path]
    assert service.post(path, body.decode().encode(codec), kind).status_code == 200
    (logged,) = service.logged()
    if isinstance(logged, ScoredRequest):
        assert logged.body == body


@pytest.mark.parametrize("path", ["/predict", "/outcomes"])
def test_an_unknown_charset_is_named(service: Service, bodies: dict[str, tuple[bytes, str]], path: str) -> None:
    response = service.post(path, bodies[path][0], f'{JSON}; charset="morse"')
    assert "charset 'morse'" in _message(response, 415)


@pytest.mark.parametrize("path", ["/predict", "/outcomes"])
@pytest.mark.parametrize("body", [b"", b" \n", b"\xef\xbb\xbf"])
def test_an_empty_body_is_called_empty(service: Service, path: str, body: bytes) -> None:
    assert "is empty" in _message(service.post(path, body), 400)


def test_an_outcome_with_a_field_twice_is_refused(service: Service, bodies: dict[str, tuple[bytes, str]]) -> None:
    body = bodies["/outcomes"][0].replace(b"}]", b', "subscribed": false}]')
    assert body.count(b"subscribed") > 1
    response = service.post("/outcomes", body)
    (problem,) = response.json()["detail"]
    assert (response.status_code, problem["row"], problem["field"]) == (422, 0, "subscribed")
    assert problem["message"] == "appears more than once; send it once"


def test_a_body_that_is_compressed_without_saying_so_is_named(
    service: Service, bodies: dict[str, tuple[bytes, str]]
) -> None:
    assert "Content-Encoding: gzip" in _message(service.post("/predict", gzip.compress(bodies["/predict"][0])), 400)


@pytest.mark.parametrize(
    ("text", "problem"), [('"at": NaN', "at"), (r'"prediction_id": "\ud800"', "prediction_id"), ('"at": 1e999', "at")]
)
def test_an_outcome_that_is_no_json_is_named(
    service: Service, bodies: dict[str, tuple[bytes, str]], text: str, problem: str
) -> None:
    body = bodies["/outcomes"][0].replace(b"}]", f", {text}}}]".encode())
    response = service.post("/outcomes", body)
    assert (response.status_code, response.json()["detail"][0]["row"]) == (422, 0)
    assert response.json()["detail"][0]["field"] == problem
