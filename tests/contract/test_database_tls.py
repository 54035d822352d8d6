"""A database as RDS is: TLS against a bundle, and IAM tokens in the place of passwords."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import psycopg
import pytest
from botocore import auth
from secured import HOST, SecuredDatabase
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from deposit.conninfo import connection_parameters
from deposit.database import connect, transaction
from deposit.errors import ConfigError, LoginError, UpstreamError
from deposit.log import shipper
from deposit.sections import DatabaseSettings
from deposit.settings import Settings

pytestmark = pytest.mark.servers
SIGNED_AT = datetime(2026, 11, 29, 12, tzinfo=UTC)
URL = "DEPOSIT_DATABASE__URL"


def settings_of(server: SecuredDatabase, ca_file: Path | None) -> DatabaseSettings:
    return DatabaseSettings(url=server.url("postgres", server.password), ca_file=ca_file)


def is_encrypted(settings: DatabaseSettings) -> bool:
    with transaction(settings) as connection:
        driver = connection.connection.driver_connection
        assert isinstance(driver, psycopg.Connection)
        return bool(driver.pgconn.ssl_in_use) and connection.scalar(text("SELECT 1")) == 1


def test_a_server_is_taken_whose_certificate_the_bundle_verifies(secured_database: SecuredDatabase) -> None:
    assert is_encrypted(settings_of(secured_database, secured_database.ca_file))


def test_another_servers_certificate_is_refused_by_the_setting_to_correct(secured_database: SecuredDatabase) -> None:
    settings = settings_of(secured_database, secured_database.stranger)
    with pytest.raises(UpstreamError, match=r"certificate verify failed.*or correct .*DATABASE__CA_FILE") as refused:
        is_encrypted(settings)
    assert secured_database.password not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_login_that_is_refused_names_the_url_alone_and_its_reason_first(secured_database: SecuredDatabase) -> None:
    settings = DatabaseSettings(url=secured_database.url("postgres", "wrong"), ca_file=secured_database.ca_file)
    with pytest.raises(LoginError) as refused:
        is_encrypted(settings)
    reason, _, todo = str(refused.value).partition("; ")
    assert reason.startswith('cannot use the database: password authentication failed for user "postgres" (')
    assert todo == "correct DEPOSIT_DATABASE__URL"


def test_a_bundle_that_is_not_there_is_named(secured_database: SecuredDatabase, tmp_path: Path) -> None:
    with pytest.raises(UpstreamError, match=r"absent\.pem.*DEPOSIT_DATABASE__CA_FILE"):
        is_encrypted(settings_of(secured_database, tmp_path / "absent.pem"))


def test_a_name_that_the_certificate_has_not_is_refused(secured_database: SecuredDatabase) -> None:
    url = secured_database.url("postgres", secured_database.password).get_secret_value().replace(HOST, "localhost")
    with pytest.raises(UpstreamError, match=r"does not match host name.*DEPOSIT_DATABASE__CA_FILE"):
        is_encrypted(DatabaseSettings.model_validate({"url": url, "ca_file": secured_database.ca_file}))


def test_a_bundle_counts_more_than_what_a_url_says_of_tls(secured_database: SecuredDatabase) -> None:
    url = f"{secured_database.url('postgres', secured_database.password).get_secret_value()}?sslmode=disable"
    settings = DatabaseSettings.model_validate({"url": url, "ca_file": secured_database.ca_file})
    assert is_encrypted(settings)
    assert connection_parameters(url, URL, settings)["sslmode"] == "verify-full"


@contextmanager
def _signed_at(monkeypatch: pytest.MonkeyPatch, moment: datetime) -> Iterator[None]:
    with monkeypatch.context() as clock:
        clock.setattr(auth, "get_current_datetime", lambda remove_tzinfo=True: moment.replace(tzinfo=None))
        yield


@pytest.fixture
def role(secured_database: SecuredDatabase, monkeypatch: pytest.MonkeyPatch) -> str:
    """A role whose password is the token of one moment, as RDS would take it then."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "eu-central-1",
    }.items():
        monkeypatch.setenv(name, value)
    with _signed_at(monkeypatch, SIGNED_AT):
        token = boto3.client("rds").generate_db_auth_token(
            DBHostname=HOST, Port=secured_database.port, DBUsername="iam"
        )
    admin = psycopg.connect(
        host=HOST, port=secured_database.port, user="postgres", password=secured_database.password, dbname="postgres",
        sslmode="require", autocommit=True,
    )  # fmt: skip
    with admin:
        admin.execute("DROP ROLE IF EXISTS iam")
        admin.execute(psycopg.sql.SQL("CREATE ROLE iam LOGIN PASSWORD {}").format(token))
    return "iam"


def with_tokens(server: SecuredDatabase, role: str) -> DatabaseSettings:
    return DatabaseSettings(url=server.url(role), writer_url=server.url(role), ca_file=server.ca_file, iam=True)


def test_each_new_connection_has_a_token_of_its_moment(
    secured_database: SecuredDatabase, role: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = connect(with_tokens(secured_database, role))
    with _signed_at(monkeypatch, SIGNED_AT), engine.connect() as connection:
        assert connection.scalar(text("SELECT current_user")) == role
    engine.dispose()
    with (
        _signed_at(monkeypatch, SIGNED_AT + timedelta(minutes=20)),
        pytest.raises(OperationalError, match="password authentication failed"),
    ):
        engine.connect()
    with _signed_at(monkeypatch, SIGNED_AT), engine.connect() as connection:
        assert connection.scalar(text("SELECT current_user")) == role
    engine.dispose()


def test_a_token_that_is_refused_is_a_sentence_that_names_the_right(
    secured_database: SecuredDatabase, role: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = with_tokens(secured_database, role)
    with (
        _signed_at(monkeypatch, SIGNED_AT - timedelta(minutes=20)),
        pytest.raises(UpstreamError, match=r"password authentication failed.*rds-db:connect") as refused,
    ):
        is_encrypted(settings)
    assert "X-Amz" not in str(refused.value)


def test_the_shipper_connects_with_tokens_too(
    secured_database: SecuredDatabase, role: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = with_tokens(secured_database, role)
    url = secured_database.url(role).get_secret_value()
    with _signed_at(monkeypatch, SIGNED_AT):
        parameters = connection_parameters(url, "DEPOSIT_DATABASE__WRITER_URL", settings)
        with psycopg.connect(**parameters) as connection:
            assert connection.execute("SELECT current_user").fetchone() == (role,)
            assert connection.pgconn.ssl_in_use


def _no_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))


def _no_region(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))


@pytest.mark.parametrize(
    ("without", "named"), [(_no_credentials, "there are none.*AWS_PROFILE"), (_no_region, "AWS_DEFAULT_REGION")]
)
def test_a_token_that_cannot_be_made_says_what_is_missing(
    without: Callable[[pytest.MonkeyPatch, Path], None], named: str,
    secured_database: SecuredDatabase, role: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    without(monkeypatch, tmp_path)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # it remembers the credentials of before
    settings = with_tokens(secured_database, role)
    with pytest.raises(ConfigError, match=named):
        is_encrypted(settings)
    with pytest.raises(ConfigError, match=named):
        shipper.run(Settings(state_dir=tmp_path, database=settings), threading.Event())
