"""Settings: environment variables `DEPOSIT_*`, one frozen object, unknown names refused.

A running stack writes its own settings to `<state_dir>/settings.env`; the environment overrides them.
Needs no model library, so that Airflow's environment can import it.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from deposit.errors import ConfigError

PREFIX = "DEPOSIT_"
_FILE = "_FILE"
REPOSITORY = Path(__file__).resolve().parents[2]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DatabaseSettings(_Section):
    """Where the `deposit` database is."""

    url: SecretStr | None = Field(None, description="SQLAlchemy URL of the `deposit` database")
    writer_url: SecretStr | None = Field(
        None, description="the same database for the shipper's role, which may only add predictions and outcomes"
    )


class StoreSettings(_Section):
    """Where the object store is; without an endpoint it is AWS S3 and its usual credentials."""

    endpoint_url: str | None = Field(None, description="S3 endpoint; empty means AWS")
    region: str = Field("us-east-1", description="S3 region")
    access_key: str | None = Field(None, description="S3 access key; empty means the AWS default chain")
    secret_key: SecretStr | None = Field(None, description="S3 secret key")
    data_bucket: str = Field("deposit-data", description="bucket of the dataset versions")
    mlflow_bucket: str = Field("deposit-mlflow", description="bucket of MLflow's artifacts (only its server needs it)")
    bentos_bucket: str = Field("deposit-bentos", description="bucket of the packaged services")
    reports_bucket: str = Field("deposit-reports", description="bucket of the monitoring reports")


class IngestSettings(_Section):
    """Where the campaign history comes from and how much of it may be bad."""

    source: Literal["bundled", "uci", "kaggle", "file", "postgres"] = Field("bundled", description="source of the data")
    path: Path | None = Field(None, description="source `file`: the CSV file (plain, .gz or .xz)")
    sha256: str | None = Field(
        None, description="sources `file`, `kaggle`: sha256 that the CSV, uncompressed, must have"
    )
    url: SecretStr | None = Field(None, description="source `postgres`: SQLAlchemy URL of the bank's database")
    query: str | None = Field(
        None, description="source `postgres`: query that gives the dataset's columns, oldest first"
    )
    uci_url: str = Field(
        "https://archive.ics.uci.edu/static/public/222/bank+marketing.zip",
        description="source `uci`: address of the zip",
    )
    kaggle_url: str = Field("https://www.kaggle.com", description="source `kaggle`: address of its API")
    kaggle_dataset: str = Field("henriqueyamahata/bank-marketing", description="source `kaggle`: owner/dataset")
    kaggle_token: SecretStr | None = Field(None, description="source `kaggle`: API token, as `username:key`")
    first_year: int = Field(
        2008, ge=1970, le=2100, description="calendar year of the first row (the file has months only)"
    )
    max_bad_share: float = Field(0.01, ge=0, lt=1, description="a larger share of bad rows fails the ingest")


class MlflowSettings(_Section):
    """Where MLflow is."""

    tracking_uri: str = Field("http://127.0.0.1:5000", description="MLflow tracking server")
    experiment: str = Field("deposit", description="MLflow experiment")
    model_name: str = Field(
        "deposit", description="registered model; its versions are the model ids `<name>-v<version>`"
    )


class TrainSettings(_Section):
    """How candidates are trained and measured."""

    test_share: float = Field(0.2, gt=0, lt=0.5, description="newest share of rows kept for the final test")
    validation_share: float = Field(0.2, gt=0, lt=0.5, description="share of rows before the test used to choose")
    trials: int = Field(20, ge=1, description="Optuna trials")
    seed: int = Field(7, description="seed of all randomness")
    threads: int = Field(2, ge=1, description="threads of one training")
    bootstrap: int = Field(500, ge=100, description="bootstrap resamples of each interval")
    deposit_value: float = Field(10.0, gt=0, description="value of one subscription, in the unit of call_cost")
    call_cost: float = Field(1.0, gt=0, description="cost of one call")


class SelectSettings(_Section):
    """When a challenger replaces the champion."""

    rule: Literal["gate", "accuracy_f1"] = Field(
        "gate", description="`gate`: paired log-loss interval and AUC guard; `accuracy_f1`: best accuracy and F1"
    )
    confidence: float = Field(0.95, gt=0.5, lt=1, description="confidence of the paired interval")
    max_auc_loss: float = Field(0.02, ge=0, description="how much worse the challenger's ROC AUC may be")


class ReleaseSettings(_Section):
    """How a champion gets to traffic."""

    target: Literal["process"] = Field("process", description="where the service runs")
    gateway_admin: str = Field("", description="Caddy's admin API: a unix socket's path")
    supervisor_socket: str = Field("", description="target `process`: supervisor's unix socket")
    first_port: int = Field(
        8101, ge=1024, le=65000, description="target `process`: first of the ports services may take"
    )
    poll_seconds: float = Field(1.0, gt=0, description="pause between two looks of the releaser")
    start_timeout: float = Field(90.0, gt=0, description="seconds a new service has to become ready")
    drain_seconds: float = Field(10.0, ge=0, description="seconds between losing traffic and being stopped")
    parity_tolerance: float = Field(
        1e-6, ge=0, description="largest difference to the training process's probabilities"
    )
    service_key: SecretStr | None = Field(
        None, description="API key by which the releaser tests a service that asks for keys"
    )
    store_access_key: str | None = Field(
        None, description="target `process`: S3 access key for services, which may only read MLflow's bucket"
    )
    store_secret_key: SecretStr | None = Field(None, description="target `process`: S3 secret key for services")


class ServeSettings(_Section):
    """Limits of the service."""

    max_customers: int = Field(10_000, ge=1, description="customers in one request")
    max_body_bytes: int = Field(16 * 2**20, ge=1024, description="bytes in one request body")
    max_rank_rows: int = Field(1_000_000, ge=1, description="customers in one list to rank")
    max_rank_bytes: int = Field(512 * 2**20, ge=1024, description="bytes in one list to rank")
    request_timeout: float = Field(30.0, gt=0, description="seconds that the next part of a request's body may take")
    keys_file: Path | None = Field(
        None, description="file of the API keys (`deposit keys`); empty means that no key is needed"
    )
    releaser_key_sha256: str | None = Field(
        None,
        pattern="^[0-9a-f]{64}$",
        description="sha256 of the key by which the releaser tests a service (the releaser sets it)",
    )
    rate_per_second: float = Field(0.0, ge=0, description="requests a second of one key, on average; 0 means no limit")
    burst: int = Field(100, ge=1, description="requests that one key may send at once before its rate counts")
    catalog_file: Path | None = Field(
        None, description="list of the registered models, kept by the releaser; empty means `<state_dir>/catalog.json`"
    )
    models_kept: int = Field(4, ge=1, description="models besides the served one that stay loaded")


class LogSettings(_Section):
    """The prediction log: a spool on this machine's disk, then PostgreSQL."""

    spool_max_bytes: int = Field(
        4 * 2**30, ge=2**20, description="largest size of the spool's file; beyond it predictions are refused"
    )
    reserve_bytes: int = Field(
        256 * 2**20,
        ge=2**20,
        description="bytes of disk that the spool leaves free; with fewer, predictions are refused",
    )
    ship_rows: int = Field(20_000, ge=1, description="rows that the shipper moves to PostgreSQL in one transaction")
    poll_seconds: float = Field(1.0, gt=0, description="pause of the shipper when the spool is empty")
    retention_days: int | None = Field(
        None, ge=1, description="days after which stored predictions and outcomes are dropped; empty keeps all"
    )


class StackSettings(_Section):
    """The stack without Docker: ports, all on 127.0.0.1."""

    gateway_port: int = Field(8000, description="API and page")
    airflow_port: int = Field(8080, description="Airflow UI and REST API")
    mlflow_port: int = Field(5000, description="MLflow UI")
    store_port: int = Field(9000, description="object store")
    postgres_port: int = Field(15432, description="PostgreSQL")
    internal_port: int = Field(18800, description="first of 7 ports for the object store's own parts")


class Settings(BaseSettings):
    """All settings; build it with `load_settings`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", frozen=True, extra="forbid", env_ignore_empty=True
    )

    state_dir: Path = Field(
        REPOSITORY / ".deposit", description="folder of the stack without Docker: data, logs, secrets"
    )
    python: Path = Field(
        REPOSITORY / ".venv" / "bin" / "python", description="interpreter of the models' environment, for DAG tasks"
    )
    revision: str | None = Field(None, description="git commit of the code; empty asks git")
    database: DatabaseSettings = DatabaseSettings()
    store: StoreSettings = StoreSettings()
    ingest: IngestSettings = IngestSettings()
    mlflow: MlflowSettings = MlflowSettings()
    train: TrainSettings = TrainSettings()
    select: SelectSettings = SelectSettings()
    release: ReleaseSettings = ReleaseSettings()
    serve: ServeSettings = ServeSettings()
    log: LogSettings = LogSettings()
    stack: StackSettings = StackSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the names are pydantic's
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What is given in code, then the environment with the values that it gives by file, then `settings.env`."""
        if isinstance(env_settings, EnvSettingsSource):
            env_settings.env_vars = _with_files(env_settings.env_vars)
        return init_settings, env_settings, dotenv_settings

    @property
    def catalog_path(self) -> Path:
        """Where the releaser keeps the list of the registered models, and a service looks for it."""
        return self.serve.catalog_file or self.state_dir.resolve() / "catalog.json"

    @property
    def spool_path(self) -> Path:
        """The spool of the prediction log: services write it, the shipper empties it."""
        return self.state_dir.resolve() / "spool" / "spool.sqlite"

    def changed(self, section: str, **values: Any) -> "Settings":
        """These settings with some of a section's values replaced; None leaves a value. Raises ConfigError."""
        part = getattr(self, section)
        kept = {name: getattr(part, name) for name in type(part).model_fields}
        given = {name: value for name, value in values.items() if value is not None}
        try:
            return self.model_copy(update={section: type(part).model_validate(kept | given)})
        except ValidationError as error:
            raise ConfigError(_explain(error, section)) from error


def load_settings() -> Settings:
    """Read the environment, and beneath it the running stack's `settings.env`.

    `DEPOSIT_X_FILE` names a file that holds the value of `DEPOSIT_X`. Raises ConfigError naming each wrong or unknown
    variable.
    """
    _refuse_unknown(os.environ)
    given = _with_files(os.environ).get(f"{PREFIX}STATE_DIR".lower())
    return _settings(Path(given or Settings.model_fields["state_dir"].default) / "settings.env")


def service_settings() -> Settings:
    """Read the environment alone: a service must not hold the stack's secrets.

    Unknown names are left out, for it is the releaser that gives them: a rollback may start a service that is older
    than the releaser. Raises ConfigError naming each wrong variable.
    """
    for name in _unknown(os.environ):
        del os.environ[name]
    return _settings(None)


def _settings(beneath: Path | None) -> Settings:
    try:
        return Settings(_env_file=beneath)
    except ValidationError as error:
        raise ConfigError(_explain(error)) from error


def setting_names() -> dict[str, tuple[str, Any]]:
    """Every environment variable with its description and default, in order."""
    names: dict[str, tuple[str, Any]] = {}
    for name, field in Settings.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, _Section):
            for inner, subfield in section.model_fields.items():
                names[f"{PREFIX}{name}__{inner}".upper()] = (subfield.description or "", subfield.default)
        else:
            names[f"{PREFIX}{name}".upper()] = (field.description or "", field.default)
    return names


def _unknown(environ: Mapping[str, str]) -> list[str]:
    known = setting_names()
    return sorted(
        name
        for name in environ
        if name.startswith(PREFIX) and name.upper() not in known and _named_by(name, known) is None
    )


def _refuse_unknown(environ: Mapping[str, str]) -> None:
    unknown = _unknown(environ)
    if unknown:
        raise ConfigError(f"unknown setting {', '.join(unknown)}: docs/settings.md lists the names")


def _named_by(variable: str, known: Mapping[str, Any]) -> str | None:
    """The setting whose value is in the file that `<setting>_FILE` names; None if the variable is a setting itself."""
    name = variable.upper()
    setting = name.removesuffix(_FILE)
    return setting if name not in known and setting != name and setting in known else None


def _with_files(environ: Mapping[str, str | None]) -> dict[str, str | None]:
    """The variables by lower-case name, those that name a value's file replaced by the value.

    Raises ConfigError, which never quotes a file's content.
    """
    known = setting_names()
    given = {name.lower(): value for name, value in environ.items()}
    for variable, path in list(given.items()):
        setting = _named_by(variable, known)
        if setting is None:
            continue
        del given[variable]
        if path and given.get(setting.lower()):
            raise ConfigError(f"{setting} and {variable.upper()} are both set: remove one of them")
        if path:
            given[setting.lower()] = _content(variable.upper(), path)
    return given


def _content(variable: str, path: str) -> str:
    try:
        value = Path(path).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text in UTF-8"
        raise ConfigError(f"{variable}: cannot read {path} ({reason})") from error
    if not value:
        raise ConfigError(f"{variable}: {path} is empty: write the value into it, or remove the variable")
    return value


def _explain(error: ValidationError, *section: str) -> str:
    lines = []
    for item in error.errors():
        name = PREFIX + "__".join(str(part) for part in (*section, *item["loc"])).upper()
        lines.append(f"{name}: {item['msg']}")
    return "wrong setting: " + "; ".join(lines)
