"""The service as a function: events of an HTTP API in, rows in a real PostgreSQL before the answer is out."""

import csv
import gzip
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from http_api import LIMIT, body_of, http_event, json_of

from deposit.data.columns import NAMES
from deposit.errors import ConfigError
from deposit.keys import add, make_open
from deposit.registry.catalog import Catalog, CatalogModel, Files, encode_catalog
from deposit.sections import ServeSettings
from deposit.settings import Settings
from serving.lambda_adapter import LambdaAdapter, front_end

pytestmark = [
    pytest.mark.servers,
    # Mangum makes the loop that it works in, and leaves it to the process
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]
JSON = {"Content-Type": "application/json"}
CSV = {"Content-Type": "text/csv"}


@pytest.fixture(scope="session")
def model(make_model: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("function")
    make_model(folder, version=7)
    return folder


@pytest.fixture
def settings(log: Any, tmp_path: Path) -> Settings:
    """Of a function that says that it is open to all."""
    make_open(tmp_path / "open.json")
    keyed = log.settings.changed("serve", keys_file=tmp_path / "open.json")
    return keyed.changed("log", destination="database")


Start = Callable[[Settings], LambdaAdapter]


@pytest.fixture
def start(model: Path) -> Iterator[Start]:
    started = []

    def make(settings: Settings) -> LambdaAdapter:
        started.append(front_end(settings, model))
        return started[-1]

    yield make
    for function in started:
        function.close()


@pytest.fixture
def function(start: Start, settings: Settings) -> LambdaAdapter:
    return start(settings)


def predict(customers: list[dict[str, Any]], **more: Any) -> bytes:
    return json.dumps({"customers": customers, **more}).encode()


def list_of(customers: list[dict[str, Any]], rows: int) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, [*NAMES, "id"])
    writer.writeheader()
    writer.writerows({**customers[row % len(customers)], "id": row} for row in range(rows))
    return text.getvalue().encode()


def test_a_prediction_is_in_postgresql_when_the_answer_is_out(
    function: LambdaAdapter, log: Any, customers: list[dict[str, Any]]
) -> None:
    body = predict([{**customers[0], "id": "Zoë"}, customers[1]])
    answer = function(http_event("POST", "/predict", body, headers=JSON), None)
    predictions = json_of(answer)["predictions"]
    assert answer["statusCode"] == 200
    assert answer["headers"]["content-type"] == "application/json"
    stored = log.ask("SELECT prediction_id::text, customer_id, probability, model_id, client FROM predictions")
    assert sorted(stored) == sorted(
        (each["prediction_id"], each["id"], each["probability"], "deposit-v7", "anonymous") for each in predictions
    )
    assert log.ask("SELECT route, status, requests FROM traffic") == [("/predict", 200, 1)]


def test_events_are_read_as_http_api_sends_them(function: LambdaAdapter, customers: list[dict[str, Any]]) -> None:
    plain = predict(customers[:2])
    zipped = http_event("POST", "/predict", gzip.compress(plain), headers={**JSON, "Content-Encoding": "gzip"})
    assert zipped["isBase64Encoded"]
    events = [
        http_event("POST", "/predict", plain, headers=JSON),
        zipped,
        http_event("POST", "/predict", plain, headers=JSON, cookies=["session=1", "theme=dark"]),
        http_event("POST", "/predict", plain, headers=JSON, stage="prod"),
        # a domain's own name: its path has no stage
        {**http_event("POST", "/predict", plain, headers=JSON), "requestContext": {
            **http_event("POST", "/predict", plain)["requestContext"], "stage": "predict-api"}},
    ]  # fmt: skip
    scores = [[each["probability"] for each in json_of(function(event, None))["predictions"]] for event in events]
    assert scores == [scores[0]] * len(events)


@pytest.mark.parametrize(
    ("path", "stage", "status"),
    [("/", "prod", 200), ("/nothing", "$default", 404), ("/production/predict", "prod", 404), ("/a b", "prod", 404)],
)
def test_a_stage_is_taken_off_a_path_as_a_whole(function: LambdaAdapter, path: str, stage: str, status: int) -> None:
    assert function(http_event("GET", path, stage=stage), None)["statusCode"] == status


def test_the_page_and_its_files_are_served(function: LambdaAdapter) -> None:
    page = function(http_event("GET", "/"), None)
    assert page["headers"]["content-type"].startswith("text/html")
    assert b"<html" in body_of(page)
    again = function(http_event("GET", "/", headers={"If-None-Match": page["headers"]["etag"]}), None)
    assert (again["statusCode"], again["body"]) == (304, "")


def test_a_list_is_ranked_by_form_and_as_csv(
    function: LambdaAdapter, log: Any, customers: list[dict[str, Any]]
) -> None:
    content = list_of(customers, 50)
    form = (
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="list.csv"\r\n\r\n' + content + b"\r\n--x--\r\n"
    )
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    ranked = json_of(function(http_event("POST", "/rank", form, headers=kind, query="capacity=7"), None))
    assert (ranked["rows"], ranked["called"], len(ranked["ranked"])) == (50, 7, 50)
    as_csv = function(http_event("POST", "/rank", content, headers={**CSV, "Accept": "text/csv"}), None)
    assert as_csv["headers"]["x-rows"] == "50"
    assert len(body_of(as_csv).splitlines()) == 51
    assert log.count() == 100


def test_outcomes_are_stored_with_their_predictions(
    function: LambdaAdapter, log: Any, customers: list[dict[str, Any]]
) -> None:
    answered = json_of(function(http_event("POST", "/predict", predict(customers[:1]), headers=JSON), None))
    identity = answered["predictions"][0]["prediction_id"]
    body = json.dumps({"outcomes": [{"prediction_id": identity, "subscribed": True}]}).encode()
    assert json_of(function(http_event("POST", "/outcomes", body, headers=JSON), None)) == {"accepted": 1}
    assert log.ask("SELECT prediction_id::text, subscribed FROM current_outcomes") == [(identity, True)]


def test_an_answer_that_lambda_cannot_carry_is_refused_and_leaves_nothing(
    function: LambdaAdapter, start: Start, settings: Settings, log: Any, customers: list[dict[str, Any]]
) -> None:
    for headers in (CSV, {**CSV, "Accept": "text/csv"}):
        zipped = gzip.compress(list_of(customers, 40_000))
        event = http_event("POST", "/rank", zipped, headers={**headers, "Content-Encoding": "gzip"})
        refused = function(event, None)
        assert refused["statusCode"] == 413
        assert "the limit here is 4,500,000; send fewer customers" in json_of(refused)["detail"][0]["message"]
    small = start(settings.changed("serve", max_answer_bytes=1024))
    refused = small(http_event("POST", "/predict", predict(customers[:20]), headers=JSON), None)
    assert refused["statusCode"] == 413
    assert log.count() == 0
    assert small(http_event("POST", "/predict", predict(customers[:2]), headers=JSON), None)["statusCode"] == 200


def test_the_largest_answers_fit_into_six_megabytes(
    function: LambdaAdapter, log: Any, customers: list[dict[str, Any]]
) -> None:
    zipped = gzip.compress(list_of(customers, 22_000))
    event = http_event("POST", "/rank", zipped, headers={**CSV, "Content-Encoding": "gzip"})
    answer = function(event, None)
    assert answer["statusCode"] == 200
    assert len(body_of(answer)) > 3_500_000
    assert len(json.dumps(answer)) < LIMIT
    assert log.count() == 22_000


def test_without_postgresql_nothing_is_answered(
    settings: Settings, start: Start, log: Any, customers: list[dict[str, Any]]
) -> None:
    away = settings.changed("database", writer_url="postgresql://writer:x@127.0.0.1:1/log")
    refused = start(away)(http_event("POST", "/predict", predict(customers[:1]), headers=JSON), None)
    assert (refused["statusCode"], refused["headers"]["retry-after"]) == (503, "5")
    message = json_of(refused)["detail"][0]["message"]
    assert message.startswith("nothing was answered or stored, because the prediction log cannot be written")
    assert log.count() == 0


def test_a_spool_and_an_api_without_keys_are_refused(settings: Settings, log: Any, start: Start) -> None:
    with pytest.raises(ConfigError, match="DEPOSIT_LOG__DESTINATION must be `database`"):
        start(log.settings)
    with pytest.raises(ConfigError, match="DEPOSIT_SERVE__KEYS_SECRET_ID is not set"):
        start(log.settings.changed("log", destination="database"))


def test_keys_come_from_a_secret_and_models_from_a_catalog_in_s3(
    settings: Settings,
    start: Start,
    make_model: Callable[..., Any],
    simulated_aws: Any,
    monkeypatch: pytest.MonkeyPatch,
    customers: list[dict[str, Any]],
    tmp_path: Path,
) -> None:
    for name, value in simulated_aws.environment.items():
        monkeypatch.setenv(name, value)
    _, key = add(tmp_path / "keys.json", "marketing", ["predict"])
    secrets, objects = simulated_aws.client("secretsmanager"), simulated_aws.client("s3")
    secret = secrets.create_secret(Name="deposit/api/keys", SecretString=(tmp_path / "keys.json").read_text())
    objects.create_bucket(Bucket="bentos", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    make_model(tmp_path / "other", version=8, seed=3)
    for path in (tmp_path / "other").iterdir():
        objects.put_object(Bucket="bentos", Key=f"models/8/{path.name}", Body=path.read_bytes())
    objects.put_object(Bucket="bentos", Key="catalog.json", Body=encode_catalog(_catalog(tmp_path / "other")))
    places = {"keys_secret_id": secret["ARN"], "catalog_uri": "s3://bentos/catalog.json"}
    settings = settings.model_copy(update={"serve": ServeSettings(**places)})
    function = start(settings.changed("store", region="eu-central-1"))
    body = predict(customers[:1], model="deposit-v8")

    def ask(key: str) -> Any:
        headers = {**JSON, "Authorization": f"Bearer {key}"}
        return function(http_event("POST", "/predict", body, headers=headers), None)

    assert function(http_event("POST", "/predict", body, headers=JSON), None)["statusCode"] == 401
    assert ask("deposit_nobody")["statusCode"] == 401
    assert json_of(ask(key))["model"] == "deposit-v8"
    listed = function(http_event("GET", "/models", headers={"Authorization": f"Bearer {key}"}), None)
    assert [each["model_id"] for each in json_of(listed)["models"]] == ["deposit-v7", "deposit-v8"]


def _catalog(folder: Path) -> Catalog:
    from deposit.model.artifact import sha256_of

    files = Files("bentos", "models/8", sha256_of((folder / "model.json").read_bytes()))
    facts = {"created": "2026-01-01T00:00:00+00:00", "dataset": "test", "metrics": {}, "aliases": ()}
    return Catalog((CatalogModel(model_id="deposit-v8", version=8, files=files, **facts),))
