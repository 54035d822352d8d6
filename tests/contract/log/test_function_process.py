"""The function as Lambda starts it: AWS's runtime client imports the handler out of a Bento and asks for events."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from http_api import http_event, json_of
from lambda_runtime import FunctionError, LambdaRuntime, running_function

from deposit.keys import make_open

pytestmark = pytest.mark.servers
pytest.importorskip("awslambdaric", reason="AWS's client has no wheel for this system")
JSON = {"Content-Type": "application/json"}
OURS = "FROM pg_stat_activity WHERE application_name = 'deposit service'"
Start = Callable[..., AbstractContextManager[LambdaRuntime]]


@pytest.fixture
def start(bento: Path, log: Any, tmp_path: Path) -> Start:
    """Starts an instance around the Bento; its output is in `function.log`."""

    @contextmanager
    def run(**environment: str) -> Iterator[LambdaRuntime]:
        make_open(tmp_path / "keys.json")
        given = {
            "PATH": os.defpath,
            "AWS_LAMBDA_FUNCTION_NAME": "deposit-front",
            "AWS_LAMBDA_FUNCTION_VERSION": "1",
            "DEPOSIT_STATE_DIR": str(tmp_path / "function"),
            "DEPOSIT_DATABASE__WRITER_URL": log.addresses.writer,
            "DEPOSIT_SERVE__KEYS_FILE": str(tmp_path / "keys.json"),
            **environment,
        }
        command = [sys.executable, "-m", "awslambdaric", "lambda_handler.handler"]
        with running_function(command, bento / "src", given, tmp_path / "function.log") as runtime:
            yield runtime

    return run


def _predict(customers: list[dict[str, Any]]) -> dict[str, Any]:
    return http_event("POST", "/predict", json.dumps({"customers": customers}).encode(), headers=JSON)


def test_what_it_answers_is_in_postgresql(start: Start, log: Any, customers: list[dict[str, Any]]) -> None:
    with start() as function:
        ids = set()
        for number in range(3):
            answer = function.invoke(_predict(customers[number : number + 2]))
            assert answer["statusCode"] == 200
            ids |= {each["prediction_id"] for each in json_of(answer)["predictions"]}
            # at once: from now on it may be frozen for ever
            assert {identity for (identity,) in log.ask("SELECT prediction_id::text FROM predictions")} == ids


def test_a_freeze_in_which_the_connection_died_costs_nothing(
    start: Start, log: Any, customers: list[dict[str, Any]]
) -> None:
    with start() as function:
        assert function.invoke(_predict(customers[:1]))["statusCode"] == 200
        with psycopg.connect(log.addresses.superuser, autocommit=True) as other:
            gone = other.execute(f"SELECT pg_terminate_backend(pid, 5000) {OURS}").fetchall()
        assert gone == [(True,)]
        assert function.invoke(_predict(customers[:1]))["statusCode"] == 200
    assert log.count() == 2


def test_an_instance_holds_one_connection(start: Start, log: Any, customers: list[dict[str, Any]]) -> None:
    with start() as function:
        for _ in range(3):
            function.invoke(_predict(customers[:300]))
        held = log.ask(f"SELECT count(*) {OURS}")
    assert held == [(1,)]


@pytest.mark.parametrize(
    ("environment", "problem"),
    [
        ({"DEPOSIT_DATABASE__WRITER_URL": ""}, "DEPOSIT_DATABASE__WRITER_URL is not set"),
        ({"DEPOSIT_SERVE__KEYS_FILE": ""}, "DEPOSIT_SERVE__KEYS_SECRET_ID is not set"),
        ({"DEPOSIT_LOG__DESTINATION": "spool"}, "DEPOSIT_LOG__DESTINATION must be `database`"),
    ],
)
def test_a_function_that_could_lose_predictions_or_answer_everybody_does_not_start(
    start: Start, environment: dict[str, str], problem: str, customers: list[dict[str, Any]]
) -> None:
    with start(**environment) as function, pytest.raises(FunctionError, match=problem):
        function.invoke(_predict(customers[:1]))
