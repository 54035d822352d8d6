import json
from pathlib import Path

from deposit.release.gateway import NO_UPSTREAM, Gateway, config
from deposit.settings import Settings

CONFIG = config("127.0.0.1:8000", "/run/admin.sock", "/run/upstream", "/logs/access.log", 1000)


def _handlers() -> list[dict[str, object]]:
    routes = CONFIG["apps"]["http"]["servers"]["public"]["routes"]
    return [handler for route in routes for handler in route["handle"]]


def test_the_admin_api_is_on_a_unix_socket_only() -> None:
    assert CONFIG["admin"]["listen"] == "unix//run/admin.sock"
    assert CONFIG["apps"]["http"]["servers"]["public"]["listen"] == ["127.0.0.1:8000"]


def test_the_upstream_is_read_from_the_file_at_each_request() -> None:
    (proxy,) = [handler for handler in _handlers() if handler["handler"] == "reverse_proxy"]
    assert proxy["upstreams"] == [{"dial": "{file./run/upstream}"}]


def test_the_access_log_holds_no_headers() -> None:
    fields = CONFIG["logging"]["logs"]["access"]["encoder"]["fields"]
    assert fields["request>headers"] == {"filter": "delete"}


def test_before_the_first_release_the_answer_says_what_to_do() -> None:
    (answer,) = [handler for handler in _handlers() if handler["handler"] == "static_response"]
    assert answer["status_code"] == "503"
    assert "deposit release" in json.loads(str(answer["body"]))["detail"][0]["message"]


def test_preparing_keeps_the_upstream_and_renews_the_config(tmp_path: Path) -> None:
    gateway = Gateway(Settings(state_dir=tmp_path))
    gateway.prepare()
    assert gateway.upstream() is None
    gateway.point_to("127.0.0.1:8101")
    gateway.config_file.write_text("old")
    gateway.prepare()
    assert gateway.upstream() == "127.0.0.1:8101"
    assert json.loads(gateway.config_file.read_text())["apps"]
    gateway.point_to(None)
    assert (tmp_path / "caddy" / "upstream").read_text() == NO_UPSTREAM
