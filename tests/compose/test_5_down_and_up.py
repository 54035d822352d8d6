import json
import time
from pathlib import Path
from typing import Any

from composed import Compose, docker, logger, service_of

LIVE = "SELECT bento_sha256 FROM releases WHERE state = 'live'"


def _live(compose: Compose, key: str, customers: list[dict[str, Any]], within: float = 90) -> str:
    deadline = time.monotonic() + within
    with compose.api(key) as api:
        while True:
            answer = api.post("/predict", json={"customers": customers[:1]})
            if answer.status_code == 200:
                return str(answer.json()["model"])
            assert time.monotonic() < deadline, answer.text
            time.sleep(0.5)


def test_down_leaves_nothing_but_data_and_up_brings_the_champion_back(
    compose: Compose, logins: dict[str, Any], customers: list[dict[str, Any]]
) -> None:
    key = logins["api"]["marketing"]
    champion = _live(compose, key, customers)
    before = compose.sql("SELECT count(*) FROM predictions WHERE model_id IS NOT NULL")
    compose.down()
    assert compose.containers() == []
    assert docker("network", "ls", "--quiet", "--filter", "label=com.docker.compose.project=deposit-test") == ""
    seconds = compose.up()
    logger.info("healthy %.0f s after the second `up --wait`", seconds)
    assert _live(compose, key, customers) == champion
    assert compose.sql("SELECT count(*) FROM predictions") >= before
    assert compose.logins() == logins


def test_make_up_gives_the_live_model_the_code_of_this_version(
    compose: Compose, logins: dict[str, Any], customers: list[dict[str, Any]], tmp_path: Path
) -> None:
    key = logins["api"]["marketing"]
    champion, [(bento,)] = _live(compose, key, customers), compose.sql(LIVE)
    page = tmp_path / "README.md"
    page.write_text("of another version\n")
    tmp_path.chmod(0o755)
    other = ("--volume", f"{page}:/opt/deposit/bento/README.md:ro", "deposit", "release", "--renew", "--json")
    renewed = json.loads(compose.run("run", "--rm", "--no-deps", "-T", *other).stdout)
    assert (renewed["state"], renewed["model_id"]) == ("live", champion)
    assert renewed["bento_sha256"] != bento
    assert json.loads(compose.run("run", "--rm", "--no-deps", "-T", *other).stdout) is None

    with compose.settings(REVISION="unknown"):  # as the images were built
        made = compose.make("up")
    assert made.returncode == 0, made.stderr
    assert f"of {champion}) is live" in made.stdout
    assert _live(compose, key, customers) == champion
    assert compose.sql(LIVE) == [(bento,)]
    assert compose.command("release", "--renew").stdout.startswith("Nothing to renew")
    compose.drained()


def test_the_champion_comes_back_without_airflow(
    compose: Compose, logins: dict[str, Any], customers: list[dict[str, Any]]
) -> None:
    airflow = [service for service in _services(compose) if service.startswith("airflow-")]
    compose.run("stop", *airflow)
    docker("rm", "--force", compose.container("serving")["Id"])
    assert _live(compose, logins["api"]["marketing"], customers)
    compose.run("start", *(service for service in airflow if service != "airflow-init"))


def _services(compose: Compose) -> set[str]:
    return {service_of(each) for each in compose.containers()}
