"""What deposit adds to Airflow's UI: links to the other parts of the stack."""

from airflow.plugins_manager import AirflowPlugin

from deposit.settings import load_settings

TITLES = {
    "api": "Whom to call",
    "mlflow": "Experiments (MLflow)",
    "grafana": "Dashboards (Grafana)",
    "store": "Object store",
}
"""Each address in the settings' section `links` with the text of its link."""


def links() -> list[dict[str, str]]:
    """The links whose addresses are set, in the form of Airflow's external views; they open beside the UI."""
    addresses = load_settings().links
    return [
        {"name": title, "href": href, "destination": "nav", "category": "deposit"}
        for name, title in TITLES.items()
        if (href := getattr(addresses, name))
    ]


class DepositPlugin(AirflowPlugin):
    """Links in the navigation."""

    name = "deposit"
    external_views = links()
