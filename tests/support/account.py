"""AWS as a stack with Docker meets it: an account of moto, a PostgreSQL as RDS has it, a profile's files.

All of it is outside of the stack, at the address that this machine has in the engine's own network.
"""

import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
from chaos import until
from composed import PROJECT, docker
from secured import write_authority, write_server
from simulated_aws.server import REGION, SimulatedAws

HOST = f"deposit-dev.c0simulated.{REGION}.rds.amazonaws.com"
"""The database's name, which its certificate has."""
PREFIX = "deposit-dev/database/"
PROFILE = "bank"
BUNDLE = "/opt/deposit/authorities/rds.pem"
_RULES = "local all all trust\nhostssl all all all scram-sha-256\n"
"""As `rds.force_ssl` has it: nobody without TLS."""
_ROLES = {"url": "deposit", "writer-url": "writer", "mlflow-url": "mlflow", "airflow-url": "airflow"}


class Database:
    """PostgreSQL in a container of its own, whose certificate is of an authority like RDS's."""

    def __init__(self, address: str, port: int, folder: Path) -> None:
        self.address, self.port = address, port
        self.bundle, self._folder = folder / "rds.pem", folder / "server"
        self._folder.mkdir()
        (self._folder / "pg_hba.conf").write_text(_RULES)
        self._name, self._superuser = f"{PROJECT}-rds", secrets.token_hex(8)
        self.certify("RDS", self.bundle)
        self.password = secrets.token_hex(8)

    def certify(self, authority: str, bundle: Path) -> None:
        """Write a certificate for the server of a new authority, whose own goes into `bundle`."""
        write_server(authority, write_authority(authority, bundle), self._folder, HOST)

    def start(self) -> None:
        """From nothing, until it takes the administrator's login, who is no superuser."""
        self.remove()
        docker(
            "run", "--detach", "--name", self._name, "--network", "host", "--volume", f"{self._folder}:/server:ro",
            "--env", f"POSTGRES_PASSWORD={self._superuser}", "--entrypoint", "sh", "postgres:17", "-ec",
            "install -o postgres -g postgres -m 600 /server/server.* /var/lib/postgresql/ && exec docker-entrypoint.sh "
            f"postgres -c listen_addresses={self.address} -c port={self.port} -c hba_file=/server/pg_hba.conf "
            "-c ssl=on -c ssl_cert_file=/var/lib/postgresql/server.crt -c ssl_key_file=/var/lib/postgresql/server.key",
        )  # fmt: skip
        until(self._answers)
        self.change(f"CREATE ROLE master LOGIN CREATEDB CREATEROLE PASSWORD '{self.password}'")

    @contextmanager
    def of_another_authority(self) -> Iterator[None]:
        """Within the block the server has a certificate that RDS's bundle does not verify."""
        pair = [self._folder / f"server.{end}" for end in ("crt", "key")]
        before = [path.read_bytes() for path in pair]
        self.certify("stranger", self._folder.parent / "stranger.pem")
        self._take_certificate()
        try:
            yield
        finally:
            for path, content in zip(pair, before, strict=True):
                path.write_bytes(content)
            self._take_certificate()

    @contextmanager
    def away(self) -> Iterator[None]:
        """Within the block it does not run; its data stays."""
        docker("stop", self._name)
        try:
            yield
        finally:
            docker("start", self._name)
            until(self._answers)

    def _take_certificate(self) -> None:
        install = "install -o postgres -g postgres -m 600 /server/server.* /var/lib/postgresql/ && kill -HUP 1"
        docker("exec", "--user", "0", self._name, "sh", "-ec", install)

    def remove(self) -> None:
        """It is gone, with what it held."""
        subprocess.run(["docker", "rm", "--force", "--volumes", self._name], capture_output=True, check=True)

    def url(self, role: str, password: str, database: str) -> str:
        """As the secrets of Terraform have it; the password quoted."""
        return f"postgresql://{role}:{quote(password, safe='')}@{HOST}:{self.port}/{database}"

    def sql(self, statement: str, database: str = "deposit") -> list[tuple[Any, ...]]:
        """Rows of a query, as the superuser whom nobody else is."""
        with self._connection(database) as connection:
            return connection.execute(statement.encode()).fetchall()

    def change(self, statement: str, database: str = "postgres") -> None:
        """Run a statement for what it does, as the superuser."""
        with self._connection(database) as connection:
            connection.execute(statement.encode())

    def _answers(self) -> bool:
        try:
            self.change("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def _connection(self, database: str) -> psycopg.Connection[Any]:
        return psycopg.connect(
            host=HOST, hostaddr=self.address, port=self.port, user="postgres", password=self._superuser,
            dbname=database, sslmode="verify-full", sslrootcert=str(self.bundle), autocommit=True, connect_timeout=5,
        )  # fmt: skip


@dataclass(frozen=True)
class Account:
    """What a person has of AWS who fills in `.env.aws.example`."""

    aws: SimulatedAws
    database: Database
    folder: Path

    def write_profile(self) -> dict[str, str]:
        """Write a profile's files, by which every client asks the simulated AWS; the lines of `.env` that name them."""
        config, credentials = self.folder / "config", self.folder / "credentials"
        config.write_text(f"[profile {PROFILE}]\nregion = {REGION}\nendpoint_url = {self.aws.url}\n")
        key, secret = (self.aws.environment[f"AWS_{name}"] for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"))
        credentials.write_text(f"[{PROFILE}]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n")
        self.folder.chmod(0o755)
        for path in (config, credentials):
            path.chmod(0o644)
        return {
            "AWS_PROFILE": PROFILE,
            "AWS_CONFIG_FILE": str(config),
            "AWS_SHARED_CREDENTIALS_FILE": str(credentials),
        }

    def write_secrets(self) -> None:
        """Make the secrets of the database as Terraform's foundation does."""
        query = f"?sslmode=verify-full&sslrootcert={BUNDLE}"
        made = {"admin-url": self.database.url("master", self.database.password, "postgres")}
        for name, role in _ROLES.items():
            # what must be quoted in a URL is what a person's own may have
            url = self.database.url(role, f"{secrets.token_hex(8)}@%/", role if role != "writer" else "deposit")
            made[name] = url.replace("://", "+psycopg://") + query if role == "mlflow" else url
        made["reader-password"] = secrets.token_hex(8)
        for name, value in made.items():
            self.aws.client("secretsmanager").create_secret(Name=f"{PREFIX}{name}", SecretString=value)

    def values(self) -> dict[str, str]:
        """All secrets of the account by name."""
        client = self.aws.client("secretsmanager")
        names = [each["Name"] for each in client.list_secrets()["SecretList"]]
        return {name: client.get_secret_value(SecretId=name)["SecretString"] for name in names}

    @contextmanager
    def secret(self, name: str, value: str | None) -> Iterator[None]:
        """Within the block a secret of the database has another value, or none and is gone."""
        client, full = self.aws.client("secretsmanager"), f"{PREFIX}{name}"
        before = client.get_secret_value(SecretId=full)["SecretString"]
        if value is None:
            client.delete_secret(SecretId=full, ForceDeleteWithoutRecovery=True)
        else:
            client.put_secret_value(SecretId=full, SecretString=value)
        try:
            yield
        finally:
            if value is None:
                client.create_secret(Name=full, SecretString=before)
            else:
                client.put_secret_value(SecretId=full, SecretString=before)

    def objects(self, bucket: str, prefix: str = "") -> list[str]:
        """Keys in a bucket."""
        pages = self.aws.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return [each["Key"] for page in pages for each in page.get("Contents", ())]
