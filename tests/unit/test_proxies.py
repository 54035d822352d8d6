from urllib.request import getproxies_environment, proxy_bypass_environment

import pytest

from deposit import proxies

PROXY = "http://proxy.bank:3128"


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"])
def test_a_proxy_is_for_the_world_and_never_for_own_hosts(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    environ = {name: PROXY, "no_proxy": "", "NO_PROXY": "db.bank, *.inside.bank"}
    proxies.settle(environ)
    for spelled in (name.lower(), name.upper()):
        assert environ[spelled] == PROXY
    for each, value in environ.items():
        monkeypatch.setenv(each, value)
    assert PROXY in getproxies_environment().values()
    for host in ("localhost", "127.0.0.1:9000", "db.bank"):
        assert proxy_bypass_environment(host)
    assert not proxy_bypass_environment("archive.ics.uci.edu")


def test_both_spellings_end_up_with_the_same() -> None:
    environ = {"http_proxy": "", "HTTP_PROXY": PROXY, "no_proxy": "a.bank", "NO_PROXY": "b.bank"}
    proxies.settle(environ)
    assert environ["http_proxy"] == environ["HTTP_PROXY"] == PROXY
    assert environ["no_proxy"] == environ["NO_PROXY"] == "a.bank,b.bank,localhost,127.0.0.1,::1"


def test_socks_is_left_out_and_a_proxy_without_a_scheme_is_not() -> None:
    environ = {"ALL_PROXY": "socks5h://127.0.0.1:1080", "HTTP_PROXY": "proxy.bank:3128", "PATH": "/bin"}
    proxies.settle(environ)
    assert "ALL_PROXY" not in environ
    assert environ["http_proxy"] == "proxy.bank:3128"
    assert environ["PATH"] == "/bin"


def test_settling_twice_changes_nothing() -> None:
    environ = {"HTTP_PROXY": PROXY}
    proxies.settle(environ)
    once = dict(environ)
    proxies.settle(environ)
    assert environ == once
