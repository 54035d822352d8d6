import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from deposit.errors import UpstreamError
from deposit.release.caddy import NO_UPSTREAM, PLACES, config
from deposit.release.gateway import Gateway
from deposit.sections import GatewaySettings, ReleaseSettings
from deposit.settings import Settings


def _config(**gateway: Any) -> dict[str, Any]:
    settings = Settings(release=ReleaseSettings(gateway_admin="/run/admin.sock"), gateway=GatewaySettings(**gateway))
    return config(settings, Path("/run/upstream"), Path("/run/login"), Path("/logs/access.log"))


CONFIG = _config()


def _handlers() -> list[dict[str, object]]:
    routes = CONFIG["apps"]["http"]["servers"]["public"]["routes"]
    return [handler for route in routes for handler in route["handle"]]


def test_the_admin_api_is_on_a_unix_socket_only() -> None:
    assert CONFIG["admin"]["listen"] == "unix//run/admin.sock"
    assert CONFIG["apps"]["http"]["servers"]["public"]["listen"] == ["127.0.0.1:8000"]


def test_replicas_are_read_from_their_places_at_each_request() -> None:
    for proxy in [handler for handler in _handlers() if handler["handler"] == "reverse_proxy"]:
        dialled = [place["dial"] for place in proxy["upstreams"]]
        assert dialled[:2] == ["{file./run/upstream}", "{file./run/upstream-2}"]
        assert len(set(dialled)) == PLACES


def test_a_connection_to_a_replica_is_kept_for_each_request_under_way() -> None:
    for proxy in [handler for handler in _handlers() if handler["handler"] == "reverse_proxy"]:
        assert proxy["transport"]["keep_alive"] == {"idle_timeout": "2s", "max_idle_conns_per_host": 512}  # type: ignore[index]


def test_how_many_replicas_there_are_changes_nothing_that_caddy_would_reload() -> None:
    settings = Settings(release=ReleaseSettings(gateway_admin="/run/admin.sock", replicas=3))
    assert config(settings, Path("/run/upstream"), Path("/run/login"), Path("/logs/access.log")) == CONFIG


@pytest.mark.parametrize("count", [1, 2, 3, 4, 6, 12])
def test_replicas_share_the_places_evenly_and_one_that_comes_or_goes_is_noticed(tmp_path: Path, count: int) -> None:
    gateway = Gateway(Settings(state_dir=tmp_path))
    gateway.prepare()
    replicas = tuple(f"127.0.0.1:{8101 + number}" for number in range(count))
    gateway.point_to(replicas)
    assert gateway.upstream() == replicas
    addresses = [path.read_text() for path in (tmp_path / "caddy").glob("upstream*")]
    assert {addresses.count(replica) for replica in replicas} == {PLACES // count}
    # a crash between two places
    (tmp_path / "caddy" / "upstream-12").write_text("127.0.0.1:1")
    assert gateway.upstream() not in (replicas, ())


def test_a_gateway_of_before_goes_on_with_the_one_service_that_it_knew(tmp_path: Path) -> None:
    (tmp_path / "caddy").mkdir()
    (tmp_path / "caddy" / "upstream").write_text("127.0.0.1:8101")
    gateway = Gateway(Settings(state_dir=tmp_path))
    gateway.prepare()
    assert gateway.upstream() == ("127.0.0.1:8101",)


def test_a_gateway_of_before_to_which_nothing_was_released_is_still_that(tmp_path: Path) -> None:
    places = tmp_path / "caddy" / "upstream", tmp_path / "caddy" / "upstream-2"
    places[0].parent.mkdir()
    for place in places:
        place.write_text("none")
    gateway = Gateway(Settings(state_dir=tmp_path))
    assert gateway.upstream() == ()
    gateway.prepare()
    assert {place.read_text() for place in places} == {NO_UPSTREAM}


@pytest.mark.parametrize("log", ["access", "default"])
def test_no_log_holds_headers_or_queries(log: str) -> None:
    fields = CONFIG["logging"]["logs"][log]["encoder"]["fields"]
    assert fields["request>headers"] == {"filter": "delete"}
    assert fields["request>uri"]["regexp"] == r"\?.*"


def test_every_answer_has_the_security_headers() -> None:
    server = CONFIG["apps"]["http"]["servers"]["public"]
    first, *on_errors = (route["handle"][0] for route in (server["routes"][0], *server["errors"]["routes"]))
    assert on_errors == [first, first]
    assert first["response"]["set"]["X-Content-Type-Options"] == ["nosniff"]
    assert "Strict-Transport-Security" not in first["response"]["set"]


def test_the_stacks_own_parts_speak_without_tls_where_they_are_given_a_place() -> None:
    servers = _config(tls="internal", inside="0.0.0.0:8001")["apps"]["http"]["servers"]
    assert servers["inside"]["listen"] == ["0.0.0.0:8001"]
    assert "tls_connection_policies" in servers["public"]
    assert "tls_connection_policies" not in servers["inside"]
    assert servers["inside"]["logs"] == servers["public"]["logs"]
    assert set(CONFIG["apps"]["http"]["servers"]) == {"public"}


@pytest.mark.parametrize(
    ("names", "shown"), [(("localhost", "127.0.0.1"), "127.0.0.1"), (("bank.test", "::1"), "::1"), (("a", "b"), "a")]
)
def test_who_asks_an_address_is_shown_an_addresss_certificate(names: tuple[str, ...], shown: str) -> None:
    [policy] = _config(tls="internal", names=names)["apps"]["http"]["servers"]["public"]["tls_connection_policies"]
    assert policy == {"default_sni": shown, "fallback_sni": shown}


def test_tls_has_names_or_files_and_asks_browsers_to_stay_with_it() -> None:
    internal = _config(tls="internal", names=("bank.example",))["apps"]
    assert internal["tls"]["certificates"]["automate"] == ["bank.example"]
    assert internal["pki"]["certificate_authorities"]["local"]["install_trust"] is False
    headers = internal["http"]["servers"]["public"]["routes"][0]["handle"][0]["response"]["set"]
    assert "Strict-Transport-Security" in headers
    files = _config(tls="files", certificate_file="/c.pem", key_file="/k.pem")["apps"]
    assert files["tls"]["certificates"]["load_files"] == [{"certificate": "/c.pem", "key": "/k.pem"}]
    with pytest.raises(ValidationError, match="CERTIFICATE_FILE"):
        GatewaySettings(tls="files")


def test_before_the_first_release_the_answer_says_what_to_do() -> None:
    asked, answered = CONFIG["apps"]["http"]["servers"]["public"]["errors"]["routes"][0].values()
    assert asked == [{"vars": {"{file./run/upstream}": [NO_UPSTREAM]}}]
    assert answered[-1]["status_code"] == "503"
    assert "deposit release" in json.loads(answered[-1]["body"])["detail"][0]["message"]


@pytest.mark.parametrize(("target", "command"), [("docker", "make up"), ("process", "deposit up")])
def test_a_gateway_that_does_not_answer_is_started_by_the_stacks_own_command(
    tmp_path: Path, target: str, command: str
) -> None:
    release = ReleaseSettings.model_validate({"target": target, "gateway_admin": str(tmp_path / "none.sock")})
    gateway = Gateway(Settings(state_dir=tmp_path, release=release))
    assert not gateway.answers()
    with pytest.raises(UpstreamError, match=f"start it \\(`{command}`\\)"):
        gateway.repair()


def test_preparing_keeps_the_upstream_and_renews_the_config(tmp_path: Path) -> None:
    gateway = Gateway(Settings(state_dir=tmp_path))
    gateway.prepare()
    assert gateway.upstream() == ()
    gateway.point_to(("127.0.0.1:8101",))
    gateway.config_file.write_text("old")
    gateway.prepare()
    assert gateway.upstream() == ("127.0.0.1:8101",)
    assert json.loads(gateway.config_file.read_text())["apps"]
    gateway.point_to(())
    assert (tmp_path / "caddy" / "upstream").read_text() == NO_UPSTREAM


def test_a_ui_without_a_login_is_published_behind_one() -> None:
    assert set(CONFIG["apps"]["http"]["servers"]) == {"public"}
    servers = _config(listen="0.0.0.0", tls="internal", mlflow="mlflow:5000", evidently="evidently:8000")["apps"][
        "http"
    ]
    for name, port, upstream in (("mlflow", 5000, "mlflow:5000"), ("evidently", 3001, "evidently:8000")):
        server = servers["servers"][name]
        assert server["listen"] == [f"0.0.0.0:{port}"]
        assert "tls_connection_policies" in server
        handlers = [handler for route in server["routes"] for handler in route["handle"]]
        names = [handler["handler"] for handler in handlers]
        assert names.index("authentication") < names.index("reverse_proxy")
        assert handlers[-1]["upstreams"] == [{"dial": upstream}]
        assert "match" not in server["routes"][names.index("authentication")]
