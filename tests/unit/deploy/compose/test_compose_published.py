import pytest

from deposit.deploy.compose.addresses import Publication, publication, urls
from deposit.errors import ConfigError
from deposit.sections import GatewaySettings, LinksSettings, StackSettings
from deposit.settings import Settings


def _urls(settings: Settings, published: Publication) -> dict[str, str]:
    return urls(settings.gateway, settings.links, settings.stack, published)


@pytest.mark.parametrize(
    ("bound", "host"),
    [
        ("127.0.0.1", "localhost"),
        ("0.0.0.0", "localhost"),
        ("::", "localhost"),
        ("::1", "[::1]"),
        ("192.168.1.5", "192.168.1.5"),
        ("2001:db8::7", "[2001:db8::7]"),
    ],
)
def test_the_host_is_the_one_that_ports_are_published_on(bound: str, host: str) -> None:
    addresses = _urls(Settings(), Publication(bind_address=bound))
    assert addresses == {
        "api": f"http://{host}:8000",
        "airflow": f"http://{host}:8080",
        "mlflow": f"http://{host}:5000",
        "evidently": f"http://{host}:3001",
        "dask": f"http://{host}:8787",
        "grafana": f"http://{host}:3000",
        "store": f"http://{host}:9001",
    }


def test_the_ports_are_those_that_are_set() -> None:
    settings = Settings(
        stack=StackSettings(gateway_port=1, airflow_port=2, mlflow_port=3, evidently_port=6, dask_port=7)
    )
    published = publication({"GRAFANA_PORT": "4", "STORE_CONSOLE_PORT": "5", "BIND_ADDRESS": "", "HOME": "/"})
    ports = [url.rpartition(":")[2] for url in _urls(settings, published).values()]
    assert ports == [
        "1",
        "2",
        "3",
        "6",
        "7",
        "4",
        "5",
    ]


def test_a_store_without_a_console_is_reached_by_s3_alone() -> None:
    addresses = _urls(Settings(stack=StackSettings(store_port=9100)), publication({"STORE_CONSOLE_PORT": "0"}))
    assert addresses["store"] == "http://localhost:9100"


@pytest.mark.parametrize("tls", ["internal", "files"])
def test_with_tls_what_the_gateway_publishes_is_asked_by_the_first_name_of_its_certificate(tls: str) -> None:
    gateway = {"tls": tls, "names": ["bank.test", "::1"], "certificate_file": "/c.pem", "key_file": "/k.pem"}
    settings = Settings(gateway=GatewaySettings.model_validate(gateway))
    addresses = _urls(settings, Publication(bind_address="10.0.0.5"))
    assert [addresses[part] for part in ("api", "mlflow", "evidently", "grafana")] == [
        "https://bank.test:8000",
        "https://bank.test:5000",
        "https://bank.test:3001",
        "http://10.0.0.5:3000",
    ]


def test_addresses_that_a_person_set_stand() -> None:
    links = LinksSettings(api="https://api.bank.test", grafana="https://bank.test/grafana")
    addresses = _urls(Settings(links=links), Publication())
    assert (addresses["api"], addresses["grafana"]) == ("https://api.bank.test", "https://bank.test/grafana")
    assert addresses["mlflow"] == "http://localhost:5000"


def test_a_port_that_is_none_is_named() -> None:
    with pytest.raises(ConfigError, match=r"^invalid value of GRAFANA_PORT: a port must be a number"):
        publication({"GRAFANA_PORT": "three"})
