"""The one-shot that prepares a database server of RDS: databases, roles, schema, by the URLs that the parts use.

Where the API keys are in a secret of AWS, the keys of Airflow and of the releaser are admitted there too. Run it as
`python -m deposit.deploy.rds`; it may be killed anywhere and repeated at will. A password that has changed in its URL
is set anew, and so is a key.
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
    """Make of an empty server what the stack needs, and of a used one what this version needs.

    Raises ConfigError naming the setting that is missing, or UpstreamError.
    """
    # the administrator's own password is none of IAM's
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
    """Make the keys that the stack's own parts have keys of the API, in the secret of the keys, if there is one.

    Raises ConfigError naming the setting that is missing, or UpstreamError.
    """
    secret = serve.keys_secret_id
    if not secret:
        return
    airflow = _required(api.key, "DEPOSIT_API__KEY")
    releaser = _required(release.service_key, "DEPOSIT_RELEASE__SERVICE_KEY")
    progress(f"API keys of Airflow and the releaser in {secret}")
    keys.admit(secret, "airflow", airflow, keys.ROLES)
    # a release is tested whatever rate the others share
    keys.admit(secret, keys.RELEASER, releaser, (keys.ADMIN,), rate_per_second=0)


def _urls(database: DatabaseSettings) -> list[URL]:
    """Of owner, writer, MLflow and Airflow; each names a role and a database, and a password unless IAM is one."""
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
