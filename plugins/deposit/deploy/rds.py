"""One-shot preparation of an RDS server: databases, roles and schema, from the URLs that the services use.

If the API keys are in an AWS secret, the keys of Airflow and the releaser are added to it. Run it as `python -m
deposit.deploy.rds`; it is idempotent and may be killed at any time. A password or key that has changed in the settings
is updated.
"""

from collections.abc import Callable

import typer
from pydantic import SecretStr
from sqlalchemy.engine import URL, make_url

from deposit import console, keys
from deposit.database import connect, engine_for, migrate
from deposit.deploy.servers import READER, ensure_database, ensure_reader, ensure_writer
from deposit.errors import ConfigError
from deposit.progress import Progress, log_progress
from deposit.sections import ApiSettings, DatabaseSettings, ReleaseSettings, ServeSettings
from deposit.settings import load_settings

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def prepare_rds(database: DatabaseSettings, progress: Callable[[str], None] = log_progress) -> None:
    """Prepare an empty server for the stack, or upgrade a used one to this version.

    Raises ConfigError naming the setting that is missing, or UpstreamError.
    """
    # the administrator logs in with a password, never with an IAM token
    by_password = database.model_copy(update={"iam": False})
    admin_url = _required(database.admin_url, "DEPOSIT_DATABASE__ADMIN_URL")
    owner, writer, mlflow, airflow = _urls(database)
    reader_password = _required(database.reader_password, "DEPOSIT_DATABASE__READER_PASSWORD")
    progress(f"databases and roles in {make_url(admin_url).host}")
    admin = engine_for(admin_url, "DEPOSIT_DATABASE__ADMIN_URL", by_password)
    for url, iam in ((owner, database.iam), (mlflow, False), (airflow, False)):
        ensure_database(admin, str(url.database), str(url.username), None if iam else str(url.password))
    admin.dispose()
    progress("the schema")
    engine = connect(database)
    migrate(engine)
    engine.dispose()
    inside = engine_for(
        make_url(admin_url).set(database=owner.database).render_as_string(hide_password=False),
        "DEPOSIT_DATABASE__ADMIN_URL",
        by_password,
    )
    ensure_reader(inside, str(owner.database), str(owner.username), READER, reader_password)
    ensure_writer(inside, str(owner.database), str(writer.username), None if database.iam else str(writer.password))
    inside.dispose()
    progress("prepared")


def admit_parts(
    serve: ServeSettings, api: ApiSettings, release: ReleaseSettings, progress: Progress = log_progress
) -> None:
    """Add the API keys of Airflow and the releaser to the secret with the API keys, if there is one.

    Raises ConfigError naming the setting that is missing, or UpstreamError.
    """
    secret = serve.keys_secret_id
    if not secret:
        return
    airflow = _required(api.key, "DEPOSIT_API__KEY")
    releaser = _required(release.service_key, "DEPOSIT_RELEASE__SERVICE_KEY")
    progress(f"API keys of Airflow and the releaser in {secret}")
    keys.admit(secret, "airflow", airflow, keys.ROLES)
    # no rate limit: a release must be tested whatever the default limit is
    keys.admit(secret, keys.RELEASER, releaser, (keys.ADMIN,), rate_per_second=0)


def _urls(database: DatabaseSettings) -> list[URL]:
    """The URLs of owner, writer, MLflow and Airflow. Raises ConfigError if a role, database or password is missing."""
    named = {
        "DEPOSIT_DATABASE__URL": (database.url, database.iam),
        "DEPOSIT_DATABASE__WRITER_URL": (database.writer_url, database.iam),
        "DEPOSIT_DATABASE__MLFLOW_URL": (database.mlflow_url, False),
        "DEPOSIT_DATABASE__AIRFLOW_URL": (database.airflow_url, False),
    }
    urls = []
    for setting, (secret, iam) in named.items():
        url = make_url(_required(secret, setting))
        if not (url.username and url.database and (url.password or iam)):
            raise ConfigError(f"{setting} must name a role, its password and a database: complete it")
        urls.append(url)
    return urls


def _required(secret: SecretStr | None, setting: str) -> str:
    if secret is None:
        raise ConfigError(f"{setting} is not set: the preparation needs it")
    return secret.get_secret_value()


@app.command()
def main() -> None:
    """Prepare the database server."""
    with console.progress() as progress:
        settings = load_settings()
        prepare_rds(settings.database, progress)
        admit_parts(settings.serve, settings.api, settings.release, progress)


if __name__ == "__main__":
    console.run(app)
