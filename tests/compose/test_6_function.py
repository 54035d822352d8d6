"""The image of a service as a function: with Lambda's entry point, as Lambda would run it."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from composed import PROJECT, Compose, docker, logger
from http_api import http_event, json_of
from lambda_runtime import LambdaRuntime, serving_runtime

from deposit.keys import make_open

NAME = f"{PROJECT}-function"
USER = "993:990"
"""Nobody in the image: on Lambda, too, it runs as a user that it does not know."""


@pytest.fixture(scope="module")
def image(compose: Compose) -> str:
    """Of the service that the gateway leads to."""
    [(bento,)] = compose.sql("SELECT bento_sha256 FROM releases WHERE state = 'live'")
    return f"{PROJECT}-service:{bento[:12]}"


@pytest.fixture
def function(compose: Compose, image: str, tmp_path: Path) -> Iterator[LambdaRuntime]:
    command = ("run", "--rm", "--no-deps", "-T", "--entrypoint", "cat", "shipper", "/run/deposit/writer_url")
    writer = compose.reachable(compose.run(*command).stdout.strip())
    keys = tmp_path / "keys.json"
    make_open(keys)
    keys.chmod(0o644)
    with serving_runtime() as runtime:
        # this machine's network: from there both the runtime API and PostgreSQL's container are reached
        docker(
            "run", "--detach", "--name", NAME, "--network", "host", "--user", USER, "--read-only", "--cap-drop", "ALL",
            "--tmpfs", "/tmp:mode=1777,size=512m", "--memory", "1769m", "--workdir", "/bento/src",
            "--env", f"AWS_LAMBDA_RUNTIME_API={runtime.address}", "--env", f"DEPOSIT_DATABASE__WRITER_URL={writer}",
            "--volume", f"{keys}:/keys.json:ro", "--env", "DEPOSIT_SERVE__KEYS_FILE=/keys.json",
            "--entrypoint", "python", image, "-m", "awslambdaric", "lambda_handler.handler",
        )  # fmt: skip
        try:
            yield runtime
        finally:
            docker("rm", "--force", NAME)


def test_the_image_is_a_function_too_and_its_answer_is_in_postgresql(
    compose: Compose, function: LambdaRuntime, customers: list[dict[str, Any]], logins: dict[str, Any]
) -> None:
    body = {"customers": customers[:20]}
    event = http_event("POST", "/predict", json.dumps(body).encode(), headers={"Content-Type": "application/json"})
    assert function.asked.wait(120), docker("logs", NAME)
    begun = time.monotonic()
    answer = function.invoke(event)
    logger.info(
        "the function asked after %.2f s and first answered after %.3f s",
        function.asked_at - function.started, time.monotonic() - begun,
    )  # fmt: skip
    assert answer["statusCode"] == 200, docker("logs", NAME)
    predictions = json_of(answer)["predictions"]
    ids = ", ".join(f"'{each['prediction_id']}'" for each in predictions)
    query = f"SELECT prediction_id::text, probability FROM predictions WHERE prediction_id IN ({ids})"
    stored = dict(compose.sql(query))
    assert stored == {each["prediction_id"]: each["probability"] for each in predictions}
    # the same probabilities as the container that the gateway leads to
    with compose.api(logins["api"]["marketing"]) as api:
        served = api.post("/predict", json=body).raise_for_status().json()["predictions"]
    assert [each["probability"] for each in served] == pytest.approx(
        [each["probability"] for each in predictions], abs=1e-6
    )
