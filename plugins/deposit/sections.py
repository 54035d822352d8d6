"""The sections of the settings: every `DEPOSIT_<SECTION>__<NAME>` with its meaning and default."""

import re
from datetime import date, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

CRON = r"^(@(hourly|daily|weekly|monthly|yearly)|\S+( \S+){4})$"
"""A schedule of a DAG."""
RENAMED = {
    "DEPOSIT_TRAIN__DEPOSIT_VALUE": "DEPOSIT_ECONOMICS__DEPOSIT_VALUE",
    "DEPOSIT_TRAIN__CALL_COST": "DEPOSIT_ECONOMICS__CALL_COST",
}
"""Old names of settings that are still taken, with those that they have now."""

FullPath = Annotated[Path, AfterValidator(Path.absolute)]
"""A file or folder; relative to where somebody works, absolute for parts that work elsewhere."""

_BYTES = {"b": 1, "k": 2**10, "m": 2**20, "g": 2**30}
_LEAST_MEGABYTES = 6
"""The engine gives no container less."""


def _memory(text: str) -> str:
    size = re.fullmatch(r"(\d+(?:\.\d+)?)([bkmg]?)b?", text, re.IGNORECASE)
    if size is None or float(size[1]) * _BYTES[size[2].lower() or "b"] < _LEAST_MEGABYTES * _BYTES["m"]:
        raise ValueError(f"must be an amount of memory like 512m or 2g, {_LEAST_MEGABYTES}m or more")
    return text


Memory = Annotated[str, AfterValidator(_memory)]
"""An amount of memory as the Docker engine's limits are written."""


class Section(BaseModel):
    """Values that belong together; frozen, unknown names refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class DatabaseSettings(Section):
    """Where the `deposit` database is."""

    url: SecretStr | None = Field(None, description="SQLAlchemy URL of the `deposit` database")
    writer_url: SecretStr | None = Field(
        None, description="the same database for the shipper's role, which may only add predictions and outcomes"
    )
    admin_url: SecretStr | None = Field(
        None, description="on RDS: the server's URL for who may make roles and databases; only the preparation asks it"
    )
    mlflow_url: SecretStr | None = Field(
        None, description="on RDS: URL of MLflow's database, which the preparation makes and its server uses"
    )
    airflow_url: SecretStr | None = Field(
        None, description="on RDS: URL of Airflow's database, which the preparation makes and Airflow uses"
    )
    reader_password: SecretStr | None = Field(
        None, description="on RDS: password of the role `reader`, by which Grafana reads; the preparation sets it"
    )
    ca_file: FullPath | None = Field(
        None, description="PEM file of the authorities that the server's certificate is verified by, as RDS's bundle"
    )
    iam: bool = Field(
        False, description="RDS: each connection's password is a fresh IAM token; the URLs hold none then"
    )

    @model_validator(mode="after")
    def _token_goes_to_a_verified_server(self) -> Self:
        if self.iam and not self.ca_file:
            raise ValueError("`iam` needs DEPOSIT_DATABASE__CA_FILE: a token goes to a verified server alone")
        return self


class StoreSettings(Section):
    """Where the object store is; without an endpoint it is AWS S3 and its usual credentials."""

    endpoint_url: str | None = Field(None, description="S3 endpoint; empty means AWS")
    region: str = Field("us-east-1", description="S3 region")
    access_key: str | None = Field(None, description="S3 access key; empty means the AWS default chain")
    secret_key: SecretStr | None = Field(None, description="S3 secret key")
    kms_key: str | None = Field(
        None,
        description="KMS key (ARN, id or alias) that encrypts new objects; empty leaves it to the bucket",
    )
    data_bucket: str = Field("deposit-data", description="bucket of the dataset versions")
    mlflow_bucket: str = Field("deposit-mlflow", description="bucket of MLflow's artifacts (only its server needs it)")
    bentos_bucket: str = Field("deposit-bentos", description="bucket of the packaged services")
    reports_bucket: str = Field("deposit-reports", description="bucket of the monitoring reports")
    logs_bucket: str = Field("deposit-logs", description="bucket of Airflow's task logs")


class Rule(StrEnum):
    """What is checked of the months of an ingest, whichever way its rows were dated."""

    MACRO = "macro"
    REPEATED = "repeated"
    FUTURE = "future"
    GAPS = "gaps"


class IngestSettings(Section):
    """Where the campaign history comes from and how much of it may be bad."""

    source: Literal["bundled", "uci", "kaggle", "file", "s3", "postgres"] = Field(
        "bundled", description="source of the data"
    )
    schedule: str | None = Field(
        None,
        pattern=CRON,
        description="when the DAG `deposit_ingest` runs by itself: a cron expression, or @monthly; empty means never",
    )
    path: FullPath | None = Field(None, description="source `file`: the file: CSV, .xlsx or Parquet, packed or not")
    charset: str | None = Field(
        None,
        description="sources `file`, `s3`: charset of a file that is text, such as windows-1252; empty means UTF-8, or "
        "what a byte-order mark says",
    )
    s3_uri: str | None = Field(
        None,
        pattern=r"^s3://[^/]+/.+$",
        description="source `s3`: URI of the object, in which `{month}` is the last month that is over; of a pattern "
        "with `*`, or of a folder, the newest object",
    )
    sha256: str | None = Field(
        None, description="sources `file`, `s3`, `kaggle`: sha256 that the CSV, uncompressed, must have"
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
    kaggle_token: SecretStr | None = Field(None, description="source `kaggle`: API token (`KGAT_…`), or `username:key`")
    first_year: int | None = Field(
        None,
        ge=1970,
        le=2100,
        description="year of the first row, if rows have neither `period` nor `date`; the public data set needs none",
    )
    max_bad_share: float = Field(0.01, ge=0, lt=1, description="a larger share of bad rows fails the ingest")
    macro_tolerance: float = Field(
        0.01, ge=0, lt=1, description="share of a month's rows that may have other price and confidence indices"
    )
    accept: tuple[Rule, ...] = Field(
        (),
        description="checks of the months that may fail, of macro, repeated, future and gaps, as a JSON list: "
        "the file is right all the same",
    )

    def object_pattern(self, day: date) -> str | None:
        """Source `s3`: the URI as a pattern, for a run of that day; None if it is not set.

        >>> IngestSettings(s3_uri="s3://bank/calls-{month}.csv").object_pattern(date(2026, 1, 5))
        's3://bank/calls-2025-12.csv'
        >>> IngestSettings(s3_uri="s3://bank/calls/").object_pattern(date(2026, 1, 5))
        's3://bank/calls/*'
        """
        if self.s3_uri is None:
            return None
        uri = self.s3_uri.replace("{month}", f"{day.replace(day=1) - timedelta(days=1):%Y-%m}")
        return f"{uri}*" if uri.endswith("/") else uri


class MlflowSettings(Section):
    """Where MLflow is."""

    tracking_uri: str = Field("http://127.0.0.1:5000", description="MLflow tracking server")
    experiment: str = Field("deposit", description="MLflow experiment")
    model_name: str = Field(
        "deposit", description="registered model; its versions are the model ids `<name>-v<version>`"
    )


class TrainSettings(Section):
    """How candidates are trained and measured."""

    label_delay: int = Field(0, ge=0, le=24, description="months after a month's end until its outcomes are known")
    trials: int = Field(20, ge=1, description="Optuna trials")
    seed: int = Field(7, description="seed of all randomness")
    threads: int = Field(2, ge=1, description="threads of one training")
    bootstrap: int = Field(500, ge=100, description="bootstrap resamples of each interval")
    executor: str | None = Field(
        None,
        description="Airflow's executor of the task `train`, by its name in AIRFLOW__CORE__EXECUTOR, as `ecs`; empty "
        "means the first there",
    )
    with_faults: bool = Field(
        False,
        description="learn from every month, even where what the models were sent and what was ingested are broken",
    )


class EconomicsSettings(Section):
    """What a call costs, what a subscription is worth and how many calls can be made; no model depends on it."""

    deposit_value: float = Field(10.0, gt=0, description="value of one subscription, in the unit of call_cost")
    call_cost: float = Field(1.0, gt=0, description="cost of one call")
    capacity: int | None = Field(
        None,
        ge=0,
        lt=10**9,
        description="calls that can be made a month, and so of one list to rank; empty means all that pay",
    )


class SelectSettings(Section):
    """When a challenger replaces the champion."""

    rule: Literal["gate", "accuracy_f1"] = Field(
        "gate",
        description="`gate`: the mixture, by the paired log-loss interval; `accuracy_f1`: the one recipe with the best "
        "accuracy and F1, by accuracy and F1",
    )
    confidence: float = Field(0.95, gt=0.5, lt=1, description="confidence of the paired interval")
    max_auc_loss: float = Field(
        0.02, ge=0, description="how much worse the ROC AUC of another table of recipes may be, beyond noise"
    )


class ExpirySettings(Section):
    """How old a model may become; months count from its last training month to that of a request."""

    stale_after: int = Field(
        3,
        ge=0,
        le=1200,
        description="months after its last training month that a model may answer for; beyond them its answers carry "
        "`stale: true`, and an alert fires",
    )
    replace_after: int = Field(
        6, ge=0, le=1200, description="months after its last training month beyond which the rate table replaces it"
    )

    @model_validator(mode="after")
    def _stale_comes_first(self) -> Self:
        if self.replace_after < self.stale_after:
            raise ValueError("`replace_after` must not be below `stale_after`: a model is stale before it is replaced")
        return self


class ReleaseSettings(Section):
    """How a champion gets to traffic."""

    target: Literal["process", "docker", "ecs", "lambda"] = Field(
        "process",
        description="where the service runs: a process under supervisor, a container, a service of ECS, "
        "or a function of Lambda",
    )
    replicas: int = Field(
        1,
        ge=1,
        le=12,
        description="targets `process`, `docker`: services of the live release that share its requests; 1, 2, 3, 4, 6 "
        "and 12 share them evenly",
    )
    base_image: str = Field(
        "deposit-serving:local",
        description="image with the locked dependencies of the service: the engine's own for target `docker`, one in "
        "the registry of `ecr_repository` for `ecs` and `lambda`",
    )
    ecr_repository: str = Field(
        "", description="targets `ecs`, `lambda`: repository of the services' images, as host/name, in the ECR"
    )
    registry_url: str | None = Field(
        None, description="targets `ecs`, `lambda`: address of the registry's API; empty means https at its host"
    )
    architecture: Literal["amd64", "arm64"] = Field(
        "amd64", description="targets `ecs`, `lambda`: processor that the services run on"
    )
    project: str = Field(
        "deposit", description="target `docker`: compose project whose networks and volumes services use"
    )
    memory_limit: Memory = Field("1g", description="target `docker`: memory that one service may take")
    ecs_cluster: str = Field("", description="target `ecs`: cluster of the service, in the region of the store")
    ecs_service: str = Field("", description="target `ecs`: service whose task definition a release replaces")
    ecs_url: str = Field(
        "", description="target `ecs`: address of the load balancer, where a release is tested once it has its traffic"
    )
    ecs_tasks: int = Field(1, ge=1, description="target `ecs`: tasks that a release gives to a service that has none")
    ecs_timeout: float = Field(
        900.0, gt=0, description="target `ecs`: seconds that a service has to replace its tasks by new ones"
    )
    gateway_admin: str = Field("", description="Caddy's admin API: a unix socket's path")
    lambda_function: str = Field("", description="target `lambda`: name of the function, in the region of the store")
    lambda_alias: str = Field("live", description="target `lambda`: alias of the function that the HTTP API asks")
    lambda_url: str = Field(
        "",
        description="target `lambda`: address of the HTTP API, where a release is tested once it has its traffic; "
        "empty leaves that test out",
    )
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
        None, description="S3 access key for services, which may only read MLflow's bucket"
    )
    store_secret_key: SecretStr | None = Field(None, description="target `process`: S3 secret key for services")

    @model_validator(mode="after")
    def _aws_counts_itself(self) -> Self:
        if self.replicas > 1 and self.target in ("ecs", "lambda"):
            raise ValueError(
                f"`replicas` is for targets `process` and `docker`: how many serve on `{self.target}`, Terraform says"
            )
        return self


def bracketed(host: str) -> str:
    """An IPv6 address as URLs have it; any other host as it is.

    >>> bracketed("::1"), bracketed("localhost")
    ('[::1]', 'localhost')
    """
    return f"[{host}]" if ":" in host else host


_LOOPBACK = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - what to ask, not where to listen


class GatewaySettings(Section):
    """What clients connect to."""

    listen: str = Field("127.0.0.1", description="address that the gateway listens on")
    inside: str | None = Field(
        None,
        description="host:port where the stack's own parts reach the gateway without TLS, in a network of their own; "
        "empty means nowhere",
    )
    mlflow: str | None = Field(
        None,
        description="host:port of MLflow, whose UI the gateway publishes behind a login; empty means that it does not",
    )
    evidently: str | None = Field(None, description="the same of Evidently's UI")
    dask: str | None = Field(None, description="the same of the dashboard of a Dask scheduler")
    grafana: str | None = Field(None, description="the same of Grafana, which asks for its own login")
    tls: Literal["off", "internal", "files"] = Field(
        "off", description="`internal`: a certificate of the gateway's own authority; `files`: a given one"
    )
    names: tuple[str, ...] = Field(
        ("localhost", "127.0.0.1"), min_length=1, description="TLS: names that the certificate is for, as a JSON list"
    )
    certificate_file: FullPath | None = Field(None, description="TLS `files`: certificate chain as PEM, in the gateway")
    key_file: FullPath | None = Field(None, description="TLS `files`: private key as PEM, in the gateway")
    access_log: Literal["file", "stdout"] = Field(
        "file", description="where requests are logged: `<state_dir>/logs/access.log`, or standard output"
    )

    @model_validator(mode="after")
    def _files_are_named(self) -> Self:
        if self.tls == "files" and not (self.certificate_file and self.key_file):
            raise ValueError("`files` needs DEPOSIT_GATEWAY__CERTIFICATE_FILE and DEPOSIT_GATEWAY__KEY_FILE")
        return self

    def url(self, port: int) -> str:
        """Where the gateway of the stack without Docker answers at one of its ports."""
        scheme = "http" if self.tls == "off" else "https"
        return f"{scheme}://{bracketed(_LOOPBACK.get(self.listen, self.listen))}:{port}"


class LinksSettings(Section):
    """What Airflow's UI links to; empty means no link."""

    api: str | None = Field(None, description="address of the API and its page, for a link in Airflow's UI")
    mlflow: str | None = Field(None, description="address of MLflow, for a link in Airflow's UI")
    grafana: str | None = Field(None, description="address of Grafana, for a link in Airflow's UI")
    store: str | None = Field(None, description="address of the object store's console, for a link in Airflow's UI")


class ApiSettings(Section):
    """The API as the stack's own clients ask it."""

    url: str | None = Field(None, description="address of the API; empty means the gateway of this machine")
    key: SecretStr | None = Field(None, description="API key with the role `admin`, where keys are needed")


class ServeSettings(Section):
    """Limits of the service."""

    max_customers: int = Field(10_000, ge=1, description="customers in one request")
    max_body_bytes: int = Field(16 * 2**20, ge=1024, description="bytes in one request body")
    max_rank_rows: int = Field(1_000_000, ge=1, description="customers in one list to rank")
    max_rank_bytes: int = Field(512 * 2**20, ge=1024, description="bytes in one list to rank")
    request_timeout: float = Field(30.0, gt=0, description="seconds that the next part of a request's body may take")
    keys_file: FullPath | None = Field(
        None, description="file of the API keys (`deposit keys`); empty means that no key is needed"
    )
    keys_secret_id: str | None = Field(
        None,
        description="secret of AWS Secrets Manager (name or ARN) that holds what the keys file would, for services "
        "without a disk of their own",
    )
    releaser_key_sha256: str | None = Field(
        None,
        pattern="^[0-9a-f]{64}$",
        description="sha256 of the key by which the releaser tests a service (the releaser sets it)",
    )
    rate_per_second: float = Field(
        0.0,
        ge=0,
        description="requests a second of one key, on average, all replicas together; 0 means no limit",
    )
    burst: int = Field(
        100, ge=1, description="requests that one key may send at once before its rate counts, all replicas together"
    )
    replica: int = Field(
        1, ge=1, description="which of the replicas this service is, and so which spool it has (the releaser sets it)"
    )
    catalog_file: FullPath | None = Field(
        None, description="list of the registered models, kept by the releaser; empty means `<state_dir>/catalog.json`"
    )
    catalog_uri: str | None = Field(
        None,
        pattern="^s3://[^/]+/.+",
        description="the same list as an object (s3://bucket/key), which the releaser keeps too, for services "
        "without a disk of their own",
    )
    max_answer_bytes: int | None = Field(
        None, ge=1024, description="bytes in one answer to /predict or /rank; more is refused, and nothing recorded"
    )
    models_kept: int = Field(4, ge=1, description="models besides the served one that stay loaded")


class LogSettings(Section):
    """The prediction log: a spool on this machine's disk, then PostgreSQL; or PostgreSQL at once."""

    destination: Literal["spool", "database"] = Field(
        "spool",
        description="where a prediction is before its answer leaves: a spool on the disk, or PostgreSQL "
        "(for a function on Lambda, which has no disk that stays; it needs DEPOSIT_DATABASE__WRITER_URL)",
    )
    write_timeout: float = Field(
        8.0,
        gt=0,
        le=60,
        description="destination `database`: seconds that a statement may take",
    )
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
    stop_seconds: float = Field(
        0.0, ge=0, le=100, description="seconds that a shipper which is stopped goes on shipping; 0 ends with its batch"
    )
    handover_uri: str | None = Field(
        None,
        pattern="^s3://[^/]+/.+$",
        description="folder in the object store, as s3://bucket/folder/, for what a shipper could not ship before its "
        "disk goes away with it; the next one ships it",
    )
    retention_days: int | None = Field(
        None, ge=1, description="days after which stored predictions, outcomes and traffic are dropped; empty keeps all"
    )


class ScoreSettings(Section):
    """Batch scoring: what the DAG `deposit_score` reads and writes, and how."""

    schedule: str | None = Field(
        None,
        pattern=CRON,
        description="when the DAG `deposit_score` runs by itself: a cron expression, or @daily; empty means never",
    )
    input: str | None = Field(
        None,
        description="what the DAG `deposit_score` scores unless its form says otherwise: a file, a folder or a "
        "pattern, or the same as `s3://bucket/…`; `{day}` in it is the day of the run",
    )
    output: str | None = Field(
        None,
        description="folder of the results of the DAG `deposit_score`, with `{day}` as in the input; empty means "
        "`s3://<data bucket>/scores/{day}`",
    )
    charset: str | None = Field(
        None,
        description="charset of inputs that are text, such as windows-1252; empty means UTF-8, or what a byte-order "
        "mark says",
    )
    log: bool = Field(
        False, description="whether scored rows go to the table `predictions`, for monitoring and for outcomes"
    )
    threads: int = Field(2, ge=1, le=64, description="threads that score")
    work_dir: FullPath | None = Field(
        None,
        description="folder for what a run has not finished: 50 bytes a row, and one input of the object store; "
        "empty means `<state_dir>/scoring`",
    )


class ComputeSettings(Section):
    """Where batch scoring and training do what can be done side by side."""

    scheduler: str | None = Field(
        None,
        pattern=r"^(tcp|tls)://[^\s/]+:\d+$",
        description="address of a Dask scheduler, as tcp://host:8786, whose workers score and train; empty means "
        "threads of this machine",
    )
    patience: float = Field(
        60.0, gt=0, description="seconds that the scheduler may be without any worker before the work is given up"
    )


class ArchiveSettings(Section):
    """The archive: months of predictions as Parquet in the object store, out of PostgreSQL."""

    schedule: str | None = Field(
        None,
        pattern=CRON,
        description="when the DAG `deposit_archive` runs by itself: a cron expression, or @daily; empty means never",
    )
    keep_months: int = Field(
        12,
        ge=3,
        le=1200,
        description="whole months before the current one whose predictions stay in PostgreSQL; rows that were stored "
        "later than that stay as well",
    )
    work_dir: FullPath | None = Field(
        None,
        description="folder for a month that is written or read: about 70 bytes a row, while it lasts; empty means "
        "`<state_dir>/archive`",
    )


class MonitorSettings(Section):
    """Monitoring: what follows from it; figures and verdicts count everything and need no setting."""

    cooldown_days: float = Field(
        7.0, ge=0, description="days after a retraining for decay in which no other is asked for, of the same model"
    )
    max_unknown_share: float = Field(
        0.05, ge=0, le=1, description="a larger share of a client's outcomes that are of no prediction raises an alert"
    )
    sample_rows: int = Field(
        5000, ge=100, description="predictions in a report of Evidently, and rows of training beside them"
    )
    webhook_url: SecretStr | None = Field(
        None, description="address that failed runs of DAGs are posted to, as JSON like Grafana's alerts"
    )
    workspace: FullPath | None = Field(
        None, description="folder of what Evidently's UI shows; empty means `<state_dir>/workspace`"
    )


Port = Annotated[int, Field(ge=1, le=65535)]


class StackSettings(Section):
    """The stack without Docker: ports, all on 127.0.0.1 but what the gateway publishes; a Grafana that is installed."""

    gateway_port: Port = Field(8000, description="API and page")
    airflow_port: Port = Field(8080, description="Airflow UI and REST API")
    mlflow_port: Port = Field(5000, description="MLflow UI, which asks for a login")
    evidently_port: Port = Field(
        3001, description="Evidently UI, which asks for the same login: a report of each month"
    )
    dask_port: Port = Field(8787, description="dashboard of a Dask scheduler, if one runs, which asks for it too")
    store_port: Port = Field(9000, description="object store")
    postgres_port: Port = Field(15432, description="PostgreSQL")
    internal_port: int = Field(
        18800, ge=1, le=65526, description="first of 10 ports that are for the stack's own parts"
    )
    grafana_port: Port = Field(3000, description="Grafana UI, if one is started, with a login of its own")
    grafana: Literal["off"] | FullPath | None = Field(
        None,
        description="Grafana's program, which is started too; empty means `grafana` or `grafana-server` of the PATH, "
        "`off` none",
    )
