import asyncio
import json
import uuid
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
from serving import predict
from serving.application import Application

MAX_BODY, MAX_CUSTOMERS = 2**20, 2000
JSON = {"Content-Type": "application/json"}


class Client:
    """Plain calls into the application, in process."""

    def __init__(self, application: Application) -> None:
        self._transport = httpx.ASGITransport(application)

    def __call__(self, method: str, path: str, **options: Any) -> httpx.Response:
        async def call() -> httpx.Response:
            async with httpx.AsyncClient(transport=self._transport, base_url="http://service") as client:
                return await client.request(method, path, **options)

        return asyncio.run(call())

    def predict(self, customers: Any, **fields: Any) -> httpx.Response:
        return self("POST", "/predict", content=json.dumps({"customers": customers, **fields}), headers=JSON)


@pytest.fixture(scope="module")
def artifact(
    make_model: Callable[..., ModelArtifact], tmp_path_factory: pytest.TempPathFactory
) -> tuple[ModelArtifact, Path]:
    folder = tmp_path_factory.mktemp("model")
    return make_model(folder, version=7), folder


@pytest.fixture(scope="module")
def application(
    artifact: tuple[ModelArtifact, Path],
    make_application: Callable[[Settings, Path], Application],
    tmp_path_factory: pytest.TempPathFactory,
) -> Application:
    limits = Settings(state_dir=tmp_path_factory.mktemp("state")).changed(
        "serve", max_body_bytes=MAX_BODY, max_customers=MAX_CUSTOMERS
    )
    return make_application(limits, artifact[1])


@pytest.fixture(scope="module")
def client(application: Application) -> Client:
    return Client(application)


def _detail(response: httpx.Response) -> list[dict[str, Any]]:
    detail: list[dict[str, Any]] = response.json()["detail"]
    assert detail
    assert all(set(problem) == {"row", "field", "message"} for problem in detail)
    assert response.headers["x-request-id"]
    return detail


@pytest.mark.parametrize("count", [1, 3, 1500])
def test_answers_come_in_order_and_equal_the_model_bit_for_bit(
    client: Client, artifact: tuple[ModelArtifact, Path], customers: list[dict[str, Any]], count: int
) -> None:
    sent = [{**customer, "id": number} for number, customer in enumerate(customers[:count])]
    response = client.predict(sent)
    assert response.status_code == 200, response.text
    answer = response.json()
    assert answer["model"] == "deposit-v7"
    assert [prediction["id"] for prediction in answer["predictions"]] == list(range(count))
    model = artifact[0]
    matrix = model.encoder.encode_rows([[customer[name] for name in NAMES] for customer in sent])
    assert [prediction["probability"] for prediction in answer["predictions"]] == model.probabilities(matrix).tolist()
    assert all(p["subscribes"] == (p["probability"] >= model.threshold) for p in answer["predictions"])
    ids = [uuid.UUID(prediction["prediction_id"]) for prediction in answer["predictions"]]
    assert len(set(ids)) == count
    assert all(value.version == 7 and value.variant == uuid.RFC_4122 for value in ids)


@pytest.mark.parametrize("given_id", ["customer-1", 42, -(2**63), None, "ü" * 128])
def test_ids_are_echoed(client: Client, customers: list[dict[str, Any]], given_id: Any) -> None:
    assert client.predict([{**customers[0], "id": given_id}]).json()["predictions"][0]["id"] == given_id


def test_an_id_may_be_left_out(client: Client, customers: list[dict[str, Any]]) -> None:
    assert client.predict(customers[:1]).json()["predictions"][0]["id"] is None


def _bad_values() -> list[tuple[str, Any]]:
    cases: list[tuple[str, Any]] = []
    for column in FEATURES:
        wrong = ["nonsense", 1] if isinstance(column, Category) else [column.low - 1, column.high + 1, "1", True]
        cases += [(column.name, value) for value in [*wrong, None, [], {}]]
        if not isinstance(column, Category) and column.integer:
            cases.append((column.name, column.low + 0.5))
    return [*cases, ("id", 1.5), ("id", True), ("id", 2**63), ("id", "x" * 129), ("id", [])]


@pytest.mark.parametrize(("field", "value"), _bad_values())
def test_a_bad_value_is_refused_by_row_and_field(
    client: Client, customers: list[dict[str, Any]], field: str, value: Any
) -> None:
    response = client.predict([customers[0], {**customers[1], field: value}])
    assert response.status_code == 422
    (problem,) = _detail(response)
    assert (problem["row"], problem["field"]) == (1, field)
    assert "must be" in problem["message"]


@pytest.mark.parametrize("field", NAMES)
def test_a_missing_field_is_named(client: Client, customers: list[dict[str, Any]], field: str) -> None:
    response = client.predict([{name: value for name, value in customers[0].items() if name != field}])
    assert response.status_code == 422
    assert [(p["row"], p["field"]) for p in _detail(response)] == [(0, field)]


def test_duration_is_refused_with_the_reason(client: Client, customers: list[dict[str, Any]]) -> None:
    (problem,) = _detail(client.predict([{**customers[0], "duration": 100}]))
    assert problem["field"] == "duration"
    assert "only after the call" in problem["message"]


def test_all_bad_rows_are_told_up_to_twenty(client: Client, customers: list[dict[str, Any]]) -> None:
    bad = [{**customer, "age": 5} if place % 2 else customer for place, customer in enumerate(customers[:100])]
    assert [problem["row"] for problem in _detail(client.predict(bad))] == list(range(1, 40, 2))


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_none_are_refused(client: Client, customers: list[dict[str, Any]], number: str) -> None:
    body = json.dumps({"customers": [{**customers[0], "euribor3m": 0.123}]}).replace("0.123", number)
    response = client("POST", "/predict", content=body, headers=JSON)
    assert response.status_code in {400, 422}
    _detail(response)


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        (b"", 400, None),
        (b"{", 400, None),
        (b"\xff\xfe", 400, None),
        (b"[" * 100_000, 400, None),
        (b"[]", 422, None),
        (b"null", 422, None),
        (b"{}", 422, "customers"),
        (b'{"customers": []}', 422, "customers"),
        (b'{"customers": {}}', 422, "customers"),
        (b'{"customers": [1]}', 422, None),
        (b'{"customers": [], "extra": 1}', 422, "extra"),
        (b'{"customers": [], "model": 5}', 422, "model"),
    ],
)
def test_bad_bodies(client: Client, body: bytes, status: int, field: str | None) -> None:
    response = client("POST", "/predict", content=body, headers=JSON)
    assert response.status_code == status, response.text
    assert _detail(response)[0]["field"] == field


@pytest.mark.parametrize(
    ("model", "status"), [("deposit-v6", 404), ("../../etc/passwd", 422), ("", 422), ("deposit-v0", 422)]
)
def test_another_model_is_not_served(client: Client, customers: list[dict[str, Any]], model: str, status: int) -> None:
    response = client.predict(customers[:1], model=model)
    assert response.status_code == status
    assert _detail(response)[0]["field"] == "model"


def test_the_served_model_may_be_pinned(client: Client, customers: list[dict[str, Any]]) -> None:
    assert client.predict(customers[:1], model="deposit-v7").status_code == 200


def test_too_many_customers(client: Client, customers: list[dict[str, Any]]) -> None:
    response = client.predict([customers[0]] * (MAX_CUSTOMERS + 1))
    assert response.status_code == 422
    assert str(MAX_CUSTOMERS) in _detail(response)[0]["message"]


def test_too_large_a_body(client: Client) -> None:
    response = client("POST", "/predict", content=b" " * (MAX_BODY + 1), headers=JSON)
    assert response.status_code == 413
    _detail(response)


def test_a_large_body_without_a_length(client: Client) -> None:
    async def parts() -> Any:
        for _ in range(MAX_BODY // 1000 + 2):
            yield b" " * 1000

    assert client("POST", "/predict", content=parts(), headers=JSON).status_code == 413


@pytest.mark.parametrize("content_type", ["text/plain", "", "application/x-www-form-urlencoded"])
def test_another_content_type(client: Client, content_type: str) -> None:
    response = client("POST", "/predict", content=b"{}", headers={"Content-Type": content_type})
    assert response.status_code == 415
    _detail(response)


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/nowhere", 404), ("GET", "/predict", 405), ("POST", "/models", 405)]
)
def test_wrong_paths_and_methods(client: Client, method: str, path: str, status: int) -> None:
    response = client(method, path)
    assert response.status_code == status
    _detail(response)
    assert ("allow" in response.headers) == (status == 405)


def test_a_request_id_is_kept_and_a_strange_one_replaced(client: Client) -> None:
    assert client("GET", "/models", headers={"X-Request-Id": "abc-1"}).headers["x-request-id"] == "abc-1"
    assert client("GET", "/models", headers={"X-Request-Id": "a b<c>"}).headers["x-request-id"] != "a b<c>"


def test_a_failure_tells_its_request_id_and_nothing_else(
    client: Client, customers: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predict, "score_batch", lambda *_: 1 / 0)
    response = client.predict(customers[:1])
    assert response.status_code == 500
    (problem,) = _detail(response)
    assert response.headers["x-request-id"] in problem["message"]
    assert "ZeroDivision" not in response.text


def test_models_tells_id_and_metrics(client: Client) -> None:
    (model,) = client("GET", "/models").json()["models"]
    assert model["model_id"] == "deposit-v7"
    assert model["live"] is True
    assert model["metrics"]["roc_auc"] == 0.7


def test_metrics_count_routes_and_decisions(client: Client, customers: list[dict[str, Any]]) -> None:
    client.predict(customers[:2])
    client("GET", "/secret/../path")
    text = client("GET", "/metrics").text
    assert 'deposit_requests_total{route="/predict",status="200"}' in text
    assert 'deposit_predictions_total{decision="no",model="deposit-v7"}' in text
    assert 'deposit_request_seconds_bucket{le="0.005",route="/predict"}' in text
    assert 'route="unknown"' in text
    assert "secret" not in text


def test_each_route_asks_for_its_role(application: Application) -> None:
    roles = {path: route.role for path, route in application.routes.items()}
    assert {path: role for path, role in roles.items() if role} == {
        "/predict": "predict", "/rank": "predict", "/workbook": "predict", "/models": "predict", "/card": "predict",
        "/outcomes": "outcomes", "/metrics": "admin",
    }  # fmt: skip


def test_openapi_names_every_route_and_no_other(application: Application, client: Client) -> None:
    document = client("GET", "/docs.json").json()
    ours = {path: {route.method.lower()} for path, route in application.routes.items() if "/assets/" not in path}
    assert {path: set(methods) for path, methods in document["paths"].items()} == ours


def test_the_example_in_openapi_works(client: Client) -> None:
    document = client("GET", "/docs.json").json()
    example = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["example"]
    assert client("POST", "/predict", json=example).status_code == 200


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_body_is_answered_with_a_5xx(client: Client, customers: list[dict[str, Any]], data: st.DataObject) -> None:
    customer = {**customers[0], **data.draw(st.dictionaries(st.sampled_from([*NAMES, "id", "x"]), _JSON, max_size=3))}
    body = data.draw(
        st.sampled_from([{"customers": [customer]}, {"customers": customer}, customer])
        | _JSON
        | st.fixed_dictionaries({"customers": st.just([customer]), "model": _JSON})
    )
    content = data.draw(st.just(json.dumps(body).encode()) | st.binary(max_size=50))
    response = client("POST", "/predict", content=content, headers=JSON)
    assert response.status_code < 500, response.text
    if response.status_code != 200:
        _detail(response)
