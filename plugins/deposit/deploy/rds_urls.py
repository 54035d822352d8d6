"""Database URLs for MLflow and Airflow on RDS, with their drivers and with TLS verification.

Airflow runs `python -m deposit.deploy.rds_urls` as a command in its configuration (`…_CMD`).
"""

from enum import StrEnum
from typing import Annotated

import typer
from pydantic import SecretStr
from sqlalchemy.engine import make_url

from deposit import console
from deposit.conninfo import verified
from deposit.errors import ConfigError
from deposit.sections import DatabaseSettings
from deposit.settings import load_settings

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


class Driver(StrEnum):
    """SQLAlchemy driver; psycopg 3 also works asynchronously, and takes the same TLS options."""

    PSYCOPG = "postgresql+psycopg"
    PSYCOPG2 = "postgresql+psycopg2"


def driver_url(secret: SecretStr | None, setting: str, driver: Driver, database: DatabaseSettings) -> str:
    """The URL of a database for a driver; contains the password. Raises ConfigError if it is not set."""
    if secret is None:
        raise ConfigError(f"{setting} is not set: set it, or {setting}_SECRET")
    url = make_url(secret.get_secret_value()).set(drivername=driver).update_query_dict(verified(database))
    return url.render_as_string(hide_password=False)


@app.command()
def main(asynchronous: Annotated[bool, typer.Option(help="For Airflow's asynchronous connections.")] = False) -> None:
    """Print the URL of Airflow's database."""
    database = load_settings().database
    driver = Driver.PSYCOPG if asynchronous else Driver.PSYCOPG2
    # no line end: Airflow would take it as part of the URL
    typer.echo(driver_url(database.airflow_url, "DEPOSIT_DATABASE__AIRFLOW_URL", driver, database), nl=False)


if __name__ == "__main__":
    console.run(app)
