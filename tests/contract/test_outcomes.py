import gzip
import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from inprocess import InProcess
from workbooks import workbook

from deposit.errors import SpoolError
from deposit.log.entries import ReportedOutcome, ReportedOutcomes
from deposit.log.spool import Spool
from deposit.model.artifact import ModelArtifact
from deposit.settings import Settings
from serving.application import Application

JSON, CSV = "application/json", "text/csv"
P, Q = "0198a6b3-7c1e-7d52-9c3a-5e0f6a1b2c3d", "0198A6B3-7C1E-7D52-9C3A-5E0F6A1B2C3E"
MOST = 100


class Service(InProcess):
    """Takes outcomes."""

    def post(self, body: bytes | str, content_type: str = JSON, **headers: str) -> httpx.Response:
        return self.ask("/outcomes", content=body, headers={"Content-Type": content_type, **headers})

    def say(self, *outcomes: Any) -> httpx.Response:
        return self.post(json.dumps({"outcomes": outcomes}))


@pytest.fixture(scope="module")
def service(
    make_model: Callable[..., ModelArtifact],
    make_application: Callable[[Settings, Path], Application],
    tmp_path_factory: pytest.TempPathFactory,
) -> Service:
    folder = tmp_path_factory.mktemp("outcomes")
    make_model(folder / "model")
    limits = Settings(state_dir=folder / "state").changed("serve", max_customers=MOST, max_body_bytes=200_000)
    return Service(make_application(limits, folder / "model"), limits)


@pytest.fixture(autouse=True)
def _nothing_logged(service: Service) -> None:
    service.logged()


def _problems(response: httpx.Response) -> list[tuple[int | None, str | None]]:
    assert 400 <= response.status_code < 500, response.text
    detail = response.json()["detail"]
    assert all(set(problem) == {"row", "field", "message"} for problem in detail)
    return [(problem["row"], problem["field"]) for problem in detail]


def _us(text: str) -> int:
    return (datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def test_outcomes_are_in_the_spool_before_the_answer(service: Service) -> None:
    before = datetime.now(UTC).timestamp() * 1_000_000
    response = service.post(
        json.dumps({"outcomes": [
            {"prediction_id": P, "subscribed": True, "at": "2026-03-02T16:20:00.000001+01:00"},
            {"prediction_id": Q, "subscribed": False},
        ]}),
        **{"X-Request-Id": "r-9"},
    )  # fmt: skip
    assert (response.status_code, response.json()) == (200, {"accepted": 2})
    (stated,) = service.logged()
    assert isinstance(stated, ReportedOutcomes)
    assert (stated.request_id, stated.client) == ("r-9", "anonymous")
    assert before <= stated.received_at <= datetime.now(UTC).timestamp() * 1_000_000
    assert stated.outcomes == [
        ReportedOutcome(P, True, _us("2026-03-02T15:20:00.000001+00:00")),
        ReportedOutcome(Q.lower(), False, None),
    ]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (f"prediction_id,subscribed\n{P},yes\n", [(True, None)]),
        (f"prediction_id;subscribed;at\r\n{P};No;2026-03-02T16:20:00Z\r\n{Q};1;\r\n", [(False, "16:20"), (True, None)]),
        (f'\ufeff"at","prediction_id","subscribed"\n"2026-03-02T16:20:00Z","{P}","TRUE"', [(True, "16:20")]),
        (f"prediction_id , subscribed\n\n{P} , false\n\n", [(False, None)]),
        (f"subscribed;prediction_id\n0;{P}\n", [(False, None)]),
        (f"sep=;\r\nPrediction ID;y\r\n{P};1\r\n", [(True, None)]),
        (f"prediction_id\tdeposit\r{P}\tno\r{Q}\t1.0\r", [(False, None), (True, None)]),
        (gzip.compress(f"prediction_id,subscribed\n{P},yes\n".encode(), mtime=0), [(True, None)]),
        (f"prediction_id;subscribed\n{P};yes\n".encode("utf-16"), [(True, None)]),
        (workbook([["prediction_id", "subscribed"], [P, True], [Q, 0]]), [(True, None), (False, None)]),
    ],
)
def test_csv(service: Service, body: bytes | str, expected: list[tuple[bool, str | None]]) -> None:
    response = service.post(body, f"{CSV}; charset=utf-8")
    assert response.json() == {"accepted": len(expected)}
    (stated,) = service.logged()
    assert [(outcome.subscribed, outcome.at) for outcome in stated.outcomes] == [
        (subscribed, _us(f"2026-03-02T{at}:00+00:00") if at else None) for subscribed, at in expected
    ]


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"prediction_id": None}, "prediction_id"),
        ({"prediction_id": "deposit-v7"}, "prediction_id"),
        ({"prediction_id": P.replace("-", "")}, "prediction_id"),
        ({"prediction_id": P + "\n"}, "prediction_id"),
        ({"prediction_id": 7}, "prediction_id"),
        ({"subscribed": "yes"}, "subscribed"),
        ({"subscribed": 1}, "subscribed"),
        ({"subscribed": None}, "subscribed"),
        ({"at": "yesterday"}, "at"),
        ({"at": "2026-03-02T16:20:00"}, "at"),
        ({"at": "2026-03-02"}, "at"),
        ({"at": 1_700_000_000}, "at"),
        ({"at": ""}, "at"),
        ({"at": "1969-12-31T23:59:59Z"}, "at"),
        ({"at": "0001-01-01T00:00:00+23:59"}, "at"),
        ({"at": "9999-12-31T23:59:59-23:59"}, "at"),
        ({"at": "\ufffd"}, "at"),
        ({"duration": 3}, "duration"),
    ],
)
def test_a_bad_row_is_named_and_nothing_is_kept(service: Service, changed: dict[str, Any], field: str) -> None:
    good = {"prediction_id": P, "subscribed": True}
    assert _problems(service.say(good, {**good, **changed})) == [(1, field)]
    assert service.logged() == []


@pytest.mark.parametrize("row", [None, 1, "x", [P, True]])
def test_a_row_that_is_none(service: Service, row: Any) -> None:
    assert _problems(service.say(row)) == [(0, None)]


def test_missing_fields_are_named(service: Service) -> None:
    assert _problems(service.say({}, {"at": None})) == [
        (0, "prediction_id"), (0, "subscribed"), (1, "prediction_id"), (1, "subscribed")
    ]  # fmt: skip


def test_no_more_than_twenty_problems_are_reported(service: Service) -> None:
    assert len(_problems(service.say(*[{}] * 50))) == 20


def test_a_time_of_today_is_taken_and_one_of_next_week_not(service: Service) -> None:
    now = datetime.now(UTC)
    outcome = {"prediction_id": P, "subscribed": True}
    assert service.say({**outcome, "at": now.isoformat()}).status_code == 200
    assert _problems(service.say({**outcome, "at": (now + timedelta(7)).isoformat()})) == [(0, "at")]


def test_one_request_may_repeat_itself_but_not_contradict_itself(service: Service) -> None:
    yes, no = ({"prediction_id": P, "subscribed": value} for value in (True, False))
    assert service.say(yes, yes).json() == {"accepted": 2}
    assert _problems(service.say(yes, {**no, "prediction_id": P.upper()})) == [(1, "subscribed")]
    assert service.say({**yes, "at": "2026-03-02T16:20:00Z"}, no).json() == {"accepted": 2}


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ("", 400, None),
        ("{", 400, None),
        (b"\xff", 400, None),
        ("[" * 100_000, 400, None),
        ('{"outcomes": [NaN]}', 422, None),
        ("[]", 422, "outcomes"),
        ("{}", 422, "outcomes"),
        ('{"outcomes": {}}', 422, "outcomes"),
        ('{"outcomes": []}', 422, "outcomes"),
        ('{"outcomes": [], "more": 1}', 422, "more"),
    ],
)
def test_bad_json(service: Service, body: bytes | str, status: int, field: str | None) -> None:
    response = service.post(body)
    assert (response.status_code, _problems(response)[0][1]) == (status, field)


@pytest.mark.parametrize(
    ("body", "status", "problem"),
    [
        ("", 422, (None, "prediction_id")),
        ("prediction_id;subscribed", 422, (None, "outcomes")),
        (f"prediction_id;subscribed\n{P}\n", 422, (0, None)),
        (f"prediction_id;subscribed\n{P};yes;extra\n", 422, (0, None)),
        (f"prediction_id;subscribed\n{P};perhaps\n", 422, (0, "subscribed")),
        (f"prediction_id;subscribed\n{P};\n", 422, (0, "subscribed")),
        (f"prediction_id;subscribed;at\n{P};yes;02.03.2026\n", 422, (0, "at")),
        (f"prediction_id;subscribed;customer\n{P};yes;1\n", 422, (None, "customer")),
        (f"prediction_id;subscribed;subscribed\n{P};yes;no\n", 422, (None, "subscribed")),
        (f'prediction_id;subscribed\n"{P};yes\n', 400, (None, None)),
        (f'prediction_id;subscribed\n"{P};yes\n{Q};no"\n', 400, (None, None)),
        (b"%PDF-1.7", 400, (None, None)),
        (f"prediction_id;subscribed\n{P};{'x' * 150_000}\n", 400, (None, None)),
        ("prediction_id;subscribed\n\xe4".encode("latin-1"), 400, (None, None)),
    ],
)
def test_bad_csv(service: Service, body: bytes | str, status: int, problem: tuple[int | None, str | None]) -> None:
    response = service.post(body, CSV)
    assert (response.status_code, _problems(response)[0]) == (status, problem)
    assert service.logged() == []


def test_limits(service: Service) -> None:
    many = [{"prediction_id": str(uuid.uuid4()), "subscribed": False} for _ in range(MOST + 1)]
    assert service.say(*many[1:]).json() == {"accepted": MOST}
    refused = service.say(*many)
    assert _problems(refused) == [(None, "outcomes")]
    assert str(MOST) in refused.text
    assert service.post(b" " * 200_001).status_code == 413


@pytest.mark.parametrize("content_type", ["text/plain", "", "multipart/form-data"])
def test_another_content_type(service: Service, content_type: str) -> None:
    assert service.post("{}", content_type).status_code == 415


def test_what_cannot_be_kept_is_not_accepted(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise SpoolError("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(Spool, "append", full)
        assert service.say({"prediction_id": P, "subscribed": True}).status_code == 503
    assert service.logged() == []


def test_a_large_body_is_read_as_a_small_one_is(service: Service) -> None:
    outcomes = [{"prediction_id": str(uuid.uuid4()), "subscribed": True} for _ in range(MOST)]
    body = json.dumps({"outcomes": outcomes}, indent=90)
    assert len(body) > 64 * 1024
    assert service.post(body).json() == {"accepted": MOST}
    assert len(service.logged()[0].outcomes) == MOST


_VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text(), max_size=2)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_body_is_answered_with_a_5xx(service: Service, data: st.DataObject) -> None:
    fields = st.sampled_from(["prediction_id", "subscribed", "at", "x"])
    outcome = {"prediction_id": P, "subscribed": True, **data.draw(st.dictionaries(fields, _VALUES, max_size=3))}
    text = st.text(st.sampled_from('prediction_id,subscribed;at\n\r"\0-:TZ01é'), max_size=80)
    body, kind = data.draw(
        st.tuples(st.just(json.dumps({"outcomes": [outcome]}).encode()) | st.binary(max_size=50), st.just(JSON))
        | st.tuples(
            st.binary(max_size=50) | text.map(lambda t: f"prediction_id,subscribed,at\n{t}".encode()), st.just(CSV)
        )
    )
    response = service.post(body, kind)
    assert response.status_code < 500, response.text
