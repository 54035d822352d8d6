"""The sections of the settings: every `DEPOSIT_<SECTION>__<NAME>` with its meaning and default."""

import re
from datetime import date, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

CRON = r"^(@(hourly|daily|weekly|monthly|yearly)|\S+( \S+){4})$"
"""Pattern of a DAG's schedule."""
RENAMED = {
    "DEPOSIT_TRAIN__DEPOSIT_VALUE": "DEPOSIT_ECONOMICS__DEPOSIT_VALUE",
    "DEPOSIT_TRAIN__CALL_COST": "DEPOSIT_ECONOMICS__CALL_COST",
}
"""Old names of settings that are still accepted, with their new names."""

FullPath = Annotated[Path, AfterValidator(Path.absolute)]
"""Path that may be given relative to the working directory; made absolute, since services run in other directories."""

_BYTES = {"b": 1, "k": 2**10, "m": 2**20, "g": 2**30}
_LEAST_MEGABYTES = 6
"""Docker's minimum for the memory limit of a container."""


def _memory(text: str) -> str:
    size = re.fullmatch(r"(\d+(?:\.\d+)?)([bkmg]?)b?", text, re.IGNORECASE)
    if size is None or float(size[1]) * _BYTES[size[2].lower() or "b"] < _LEAST_MEGABYTES * _BYTES["m"]:
        raise ValueError(f"must be an amount of memory like 512m or 2g, {_LEAST_MEGABYTES}m or more")
    return text


Memory = Annotated[str, AfterValidator(_memory)]
"""Amount of memory in the notation of Docker's limits."""


class Section(BaseModel):
    """Settings that belong together; frozen, unknown names are rejected."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class DatabaseSettings(Section):
    """How to connect to the databases."""

    url: SecretStr | None = Field(None, description="SQLAlchemy URL of the `deposit` database")
    writer_url: SecretStr | None = Field(
        None, description="the same database for the shipper's role, which may only add predictions and outcomes"
    )
    admin_url: SecretStr | None = Field(
        None,
        description="on RDS: the server's URL for a role that may create roles and databases; only the preparation "
        "uses it",
    )
    mlflow_url: SecretStr | None = Field(
        None, description="on RDS: URL of MLflow's database, which the preparation creates and MLflow's server uses"
    )
    airflow_url: SecretStr | None = Field(
        None, description="on RDS: URL of Airflow's database, which the preparation creates and Airflow uses"
    )
    reader_password: SecretStr | None = Field(
        None, description="on RDS: password of the role `reader`, with which Grafana reads; the preparation sets it"
    )
    ca_file: FullPath | None = Field(
        None,
        description="PEM file of the certificate authorities that the server's certificate is verified against, such "
        "as RDS's bundle",
    )
    iam: bool = Field(
        False, description="on RDS: log in with a fresh IAM token for each connection; the URLs then hold no password"
    )

    @model_validator(mode="after")
    def _token_goes_to_a_verified_server(self) -> Self:
        if self.iam and not self.ca_file:
            raise ValueError("`iam` needs DEPOSIT_DATABASE__CA_FILE: a token is sent to a verified server only")
        return self


class StoreSettings(Section):
    """How to connect to the object store; without an endpoint it is AWS S3, with AWS's default credentials."""

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
    """Checks of the months of an ingest, whichever way its rows were dated."""

    MACRO = "macro"
    REPEATED = "repeated"
    FUTURE = "future"
    GAPS = "gaps"


class IngestSettings(Section):
    """Where the campaign history comes from, and how much of it may be invalid."""

    source: Literal["bundled", "uci", "kaggle", "file", "s3", "postgres"] = Field(
        "bundled", description="source of the data"
    )
    schedule: str | None = Field(
        None,
        pattern=CRON,
        description="schedule of the DAG `deposit_ingest`: a cron expression, or @monthly; empty means none",
    )
    path: FullPath | None = Field(
        None, description="source `file`: path of the file: CSV, .xlsx or Parquet, compressed or not"
    )
    charset: str | None = Field(
        None,
        description="sources `file`, `s3`: charset of a text file, such as windows-1252; empty means UTF-8, or the "
        "charset of the byte-order mark",
    )
    s3_uri: str | None = Field(
        None,
        pattern=r"^s3://[^/]+/.+$",
        description="source `s3`: URI of the object, in which `{month}` stands for the last complete month; for a "
        "pattern with `*`, or a folder, the newest object is read",
    )
    sha256: str | None = Field(
        None, description="sources `file`, `s3`, `kaggle`: expected sha256 of the uncompressed CSV"
    )
    url: SecretStr | None = Field(None, description="source `postgres`: SQLAlchemy URL of the bank's database")
    query: str | None = Field(
        None, description="source `postgres`: query that returns the dataset's columns, oldest rows first"
    )
    uci_url: str = Field(
        "https://archive.ics.uci.edu/static/public/222/bank+marketing.zip",
        description="source `uci`: URL of the zip file",
    )
    kaggle_url: str = Field("https://www.kaggle.com", description="source `kaggle`: URL of its API")
    kaggle_dataset: str = Field("henriqueyamahata/bank-marketing", description="source `kaggle`: owner/dataset")
    kaggle_token: SecretStr | None = Field(None, description="source `kaggle`: API token (`KGAT_…`), or `username:key`")
    first_year: int | None = Field(
        None,
        ge=1970,
        le=2100,
        description="year of the first row, if rows have neither `period` nor `date`; the public data set needs none",
    )
    max_bad_share: float = Field(0.01, ge=0, lt=1, description="share of bad rows above which the ingest fails")
    macro_tolerance: float = Field(
        0.01,
        ge=0,
        lt=1,
        description="share of a month's rows that may deviate from the month's price and confidence indices",
    )
    accept: tuple[Rule, ...] = Field(
        (),
        description="checks of the months that may fail (macro, repeated, future, gaps), as a JSON list, for a file "
        "that is right all the same",
    )

    def object_pattern(self, day: date) -> str | None:
        """The URI of source `s3` as a pattern, for a run on `day`; None if it is not set.

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
    """MLflow's server, experiment and registered model."""

    tracking_uri: str = Field("http://127.0.0.1:5000", description="MLflow tracking server")
    experiment: str = Field("deposit", description="MLflow experiment")
    model_name: str = Field(
        "deposit", description="registered model; its versions are the model ids `<name>-v<version>`"
    )


class TrainSettings(Section):
    """How candidates are trained and evaluated."""

    label_delay: int = Field(0, ge=0, le=24, description="months from the end of a month until its outcomes are known")
    trials: int = Field(20, ge=1, description="Optuna trials")
    seed: int = Field(7, description="seed of all randomness")
    threads: int = Field(2, ge=1, description="threads of one training run")
    bootstrap: int = Field(500, ge=100, description="bootstrap resamples per interval")
    executor: str | None = Field(
        None,
        description="Airflow executor of the task `train`, by its name in AIRFLOW__CORE__EXECUTOR, such as `ecs`; "
        "empty means the first executor there",
    )
    with_faults: bool = Field(
        False,
        description="train on every month, even if both its requests and its ingested rows are broken",
    )


class EconomicsSettings(Section):
    """What a call costs, what a subscription is worth and how many calls can be made; no model depends on it."""

    deposit_value: float = Field(10.0, gt=0, description="value of one subscription, in the unit of call_cost")
    call_cost: float = Field(1.0, gt=0, description="cost of one call")
    capacity: int | None = Field(
        None,
        ge=0,
        lt=10**9,
        description="calls that can be made per month, and so for one list to rank; empty means every call that pays "
        "off",
    )


class SelectSettings(Section):
    """When a challenger replaces the champion."""

    rule: Literal["gate", "accuracy_f1"] = Field(
        "gate",
        description="`gate`: the mixture competes, by the paired log-loss interval; `accuracy_f1`: the single recipe "
        "with the best accuracy and F1 competes, by these two",
    )
    confidence: float = Field(0.95, gt=0.5, lt=1, description="confidence of the paired interval")
    max_auc_loss: float = Field(
        0.02, ge=0, description="loss of ROC AUC, beyond noise, that is accepted from another table of recipes"
    )


class ExpirySettings(Section):
    """How old a model may become, in months from its last training month to the month of a request."""

    stale_after: int = Field(
        3,
        ge=0,
        le=1200,
        description="age of a model, in months since its last training month, above which its responses carry "
        "`stale: true` and an alert fires",
    )
    replace_after: int = Field(
        6,
        ge=0,
        le=1200,
        description="age of a champion, in months since its last training month, above which the rate table replaces "
        "it",
    )

    @model_validator(mode="after")
    def _stale_comes_first(self) -> Self:
        if self.replace_after < self.stale_after:
            raise ValueError("`replace_after` must not be below `stale_after`: a model is stale before it is replaced")
        return self


class ReleaseSettings(Section):
    """How a champion is deployed."""

    target: Literal["process", "docker", "ecs", "lambda"] = Field(
        "process",
        description="where the service runs: a process under supervisor, a container, an ECS service, or a Lambda "
        "function",
    )
    replicas: int = Field(
        1,
        ge=1,
        le=12,
        description="targets `process`, `docker`: replicas of the live release; requests are distributed evenly over "
        "1, 2, 3, 4, 6 or 12",
    )
    base_image: str = Field(
        "deposit-serving:local",
        description="image with the locked dependencies of the service: in the local Docker engine for target "
        "`docker`, in the registry of `ecr_repository` for `ecs` and `lambda`",
    )
    ecr_repository: str = Field(
        "", description="targets `ecs`, `lambda`: ECR repository of the services' images, as host/name"
    )
    registry_url: str | None = Field(
        None, description="targets `ecs`, `lambda`: URL of the registry's API; empty means https at its host"
    )
    architecture: Literal["amd64", "arm64"] = Field(
        "amd64", description="targets `ecs`, `lambda`: processor architecture of the services"
    )
    project: str = Field(
        "deposit", description="target `docker`: compose project whose networks and volumes the services use"
    )
    memory_limit: Memory = Field("1g", description="target `docker`: memory limit of one service")
    ecs_cluster: str = Field("", description="target `ecs`: cluster of the service, in the region of the store")
    ecs_service: str = Field("", description="target `ecs`: service whose task definition a release replaces")
    ecs_url: str = Field(
        "", description="target `ecs`: URL of the load balancer, where a release is tested once it receives traffic"
    )
    ecs_tasks: int = Field(1, ge=1, description="target `ecs`: tasks that a release starts in a service without any")
    ecs_timeout: float = Field(
        900.0, gt=0, description="target `ecs`: seconds within which a service must have replaced its tasks"
    )
    gateway_admin: str = Field("", description="unix socket of Caddy's admin API")
    lambda_function: str = Field("", description="target `lambda`: name of the function, in the region of the store")
    lambda_alias: str = Field("live", description="target `lambda`: alias of the function that the HTTP API calls")
    lambda_url: str = Field(
        "",
        description="target `lambda`: URL of the HTTP API, where a release is tested once it receives traffic; empty "
        "skips that test",
    )
    supervisor_socket: str = Field("", description="target `process`: unix socket of supervisor")
    first_port: int = Field(
        8101, ge=1024, le=65000, description="target `process`: first of the ports that services may use"
    )
    poll_seconds: float = Field(1.0, gt=0, description="seconds between two polls of the releaser")
    start_timeout: float = Field(90.0, gt=0, description="seconds within which a new service must become ready")
    drain_seconds: float = Field(10.0, ge=0, description="seconds between losing traffic and being stopped")
    parity_tolerance: float = Field(
        1e-6, ge=0, description="largest difference allowed from the training process's probabilities"
    )
    service_key: SecretStr | None = Field(
        None, description="API key with which the releaser tests a service that requires keys"
    )
    store_access_key: str | None = Field(
        None, description="S3 access key for services, which may only read from MLflow's bucket"
    )
    store_secret_key: SecretStr | None = Field(None, description="target `process`: S3 secret key for services")

    @model_validator(mode="after")
    def _aws_counts_itself(self) -> Self:
        if self.replicas > 1 and self.target in ("ecs", "lambda"):
            raise ValueError(
                f"`replicas` is for targets `process` and `docker`: on `{self.target}`, Terraform sets the number"
            )
        return self


def bracketed(host: str) -> str:
    """Put an IPv6 address in brackets, as URLs need it; return any other host unchanged.

    >>> bracketed("::1"), bracketed("localhost")
    ('[::1]', 'localhost')
    """
    return f"[{host}]" if ":" in host else host


_LOOPBACK = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - to connect to, not to listen on


class GatewaySettings(Section):
    """The gateway that clients connect to."""

    listen: str = Field("127.0.0.1", description="address that the gateway listens on")
    inside: str | None = Field(
        None,
        description="host:port where the stack's own services reach the gateway without TLS, in a network of their "
        "own; empty means nowhere",
    )
    mlflow: str | None = Field(
        None,
        description="host:port of MLflow, whose UI the gateway publishes behind a login; empty means not published",
    )
    evidently: str | None = Field(None, description="the same for Evidently's UI")
    dask: str | None = Field(None, description="the same for the dashboard of a Dask scheduler")
    grafana: str | None = Field(None, description="the same for Grafana, which has a login of its own")
    tls: Literal["off", "internal", "files"] = Field(
        "off", description="`internal`: a certificate of the gateway's own authority; `files`: a certificate from files"
    )
    names: tuple[str, ...] = Field(
        ("localhost", "127.0.0.1"), min_length=1, description="TLS: names in the certificate, as a JSON list"
    )
    certificate_file: FullPath | None = Field(
        None, description="TLS `files`: PEM file of the certificate chain, as the gateway sees its path"
    )
    key_file: FullPath | None = Field(
        None, description="TLS `files`: PEM file of the private key, as the gateway sees its path"
    )
    access_log: Literal["file", "stdout"] = Field(
        "file", description="where requests are logged: `<state_dir>/logs/access.log`, or standard output"
    )

    @model_validator(mode="after")
    def _files_are_named(self) -> Self:
        if self.tls == "files" and not (self.certificate_file and self.key_file):
            raise ValueError("`files` needs DEPOSIT_GATEWAY__CERTIFICATE_FILE and DEPOSIT_GATEWAY__KEY_FILE")
        return self

    def url(self, port: int) -> str:
        """URL of the gateway of the stack without Docker, for one of its ports."""
        scheme = "http" if self.tls == "off" else "https"
        return f"{scheme}://{bracketed(_LOOPBACK.get(self.listen, self.listen))}:{port}"


class LinksSettings(Section):
    """What Airflow's UI links to; empty means no link."""

    api: str | None = Field(None, description="URL of the API and its page, for a link in Airflow's UI")
    mlflow: str | None = Field(None, description="URL of MLflow, for a link in Airflow's UI")
    grafana: str | None = Field(None, description="URL of Grafana, for a link in Airflow's UI")
    store: str | None = Field(None, description="URL of the object store's console, for a link in Airflow's UI")


class ApiSettings(Section):
    """How the stack's own clients reach the API."""

    url: str | None = Field(None, description="URL of the API; empty means the gateway of this machine")
    key: SecretStr | None = Field(None, description="API key with the role `admin`, if keys are required")


class ServeSettings(Section):
    """Limits of the service."""

    max_customers: int = Field(10_000, ge=1, description="customers in one request")
    max_body_bytes: int = Field(16 * 2**20, ge=1024, description="bytes in one request body")
    max_rank_rows: int = Field(1_000_000, ge=1, description="customers in one list to rank")
    max_rank_bytes: int = Field(512 * 2**20, ge=1024, description="bytes in one list to rank")
    request_timeout: float = Field(30.0, gt=0, description="seconds to wait for more bytes of a request's body")
    keys_file: FullPath | None = Field(
        None, description="file of the API keys (`deposit keys`); empty means that no key is needed"
    )
    keys_secret_id: str | None = Field(
        None,
        description="secret of AWS Secrets Manager (name or ARN) with the content of a keys file, for services without "
        "a disk of their own",
    )
    releaser_key_sha256: str | None = Field(
        None,
        pattern="^[0-9a-f]{64}$",
        description="sha256 of the key with which the releaser tests a service (the releaser sets it)",
    )
    rate_per_second: float = Field(
        0.0,
        ge=0,
        description="average requests per second of one key, over all replicas together; 0 means no limit",
    )
    burst: int = Field(
        100, ge=1, description="requests that one key may send at once before its rate applies, over all replicas"
    )
    replica: int = Field(
        1, ge=1, description="number of this service's replica, which determines its spool (the releaser sets it)"
    )
    catalog_file: FullPath | None = Field(
        None,
        description="file of the registered models, written by the releaser; empty means `<state_dir>/catalog.json`",
    )
    catalog_uri: str | None = Field(
        None,
        pattern="^s3://[^/]+/.+",
        description="the same file as an object (s3://bucket/key), also written by the releaser, for services without "
        "a disk of their own",
    )
    max_answer_bytes: int | None = Field(
        None, ge=1024, description="bytes in one response to /predict or /rank; more is refused, and nothing recorded"
    )
    models_kept: int = Field(4, ge=1, description="models that stay loaded besides the served one")


class LogSettings(Section):
    """The prediction log: a spool on this machine's disk that is shipped to PostgreSQL, or PostgreSQL directly."""

    destination: Literal["spool", "database"] = Field(
        "spool",
        description="where a prediction is stored before its response is sent: in a spool on the disk, or in "
        "PostgreSQL (for a Lambda function, which has no lasting disk; it needs DEPOSIT_DATABASE__WRITER_URL)",
    )
    write_timeout: float = Field(
        8.0,
        gt=0,
        le=60,
        description="destination `database`: seconds that a statement may take",
    )
    spool_max_bytes: int = Field(
        4 * 2**30, ge=2**20, description="maximum size of the spool file in bytes; beyond it predictions are refused"
    )
    reserve_bytes: int = Field(
        256 * 2**20,
        ge=2**20,
        description="bytes of disk that the spool leaves free; if fewer are free, predictions are refused",
    )
    ship_rows: int = Field(20_000, ge=1, description="rows that the shipper moves to PostgreSQL in one transaction")
    poll_seconds: float = Field(1.0, gt=0, description="seconds between polls of the shipper while the spool is empty")
    stop_seconds: float = Field(
        0.0,
        ge=0,
        le=100,
        description="seconds for which a shipper goes on shipping after it was stopped; 0 ends it after its batch",
    )
    handover_uri: str | None = Field(
        None,
        pattern="^s3://[^/]+/.+$",
        description="folder in the object store, as s3://bucket/folder/, for entries that a shipper could not ship "
        "before its disk is deleted; the next shipper ships them",
    )
    retention_days: int | None = Field(
        None, ge=1, description="days after which stored predictions, outcomes and traffic are dropped; empty keeps all"
    )


class ScoreSettings(Section):
    """Batch scoring: input, output and resources of the DAG `deposit_score`."""

    schedule: str | None = Field(
        None,
        pattern=CRON,
        description="schedule of the DAG `deposit_score`: a cron expression, or @daily; empty means none",
    )
    input: str | None = Field(
        None,
        description="input of the DAG `deposit_score`, unless its form names another: a file, a folder or a pattern, "
        "local or as `s3://bucket/…`; `{day}` stands for the day of the run",
    )
    output: str | None = Field(
        None,
        description="output folder of the DAG `deposit_score`, with `{day}` as in the input; empty means "
        "`s3://<data bucket>/scores/{day}`",
    )
    charset: str | None = Field(
        None,
        description="charset of text inputs, such as windows-1252; empty means UTF-8, or the charset of the byte-order "
        "mark",
    )
    log: bool = Field(
        False, description="whether scored rows are added to the table `predictions`, for monitoring and outcomes"
    )
    threads: int = Field(2, ge=1, le=64, description="number of scoring threads")
    work_dir: FullPath | None = Field(
        None,
        description="folder for unfinished runs: 50 bytes per row, and one input file from the object store; empty "
        "means `<state_dir>/scoring`",
    )


class ComputeSettings(Section):
    """Where the parallel tasks of batch scoring and training run."""

    scheduler: str | None = Field(
        None,
        pattern=r"^(tcp|tls)://[^\s/]+:\d+$",
        description="address of a Dask scheduler, such as tcp://host:8786, whose workers score and train; empty means "
        "threads on this machine",
    )
    patience: float = Field(
        60.0, gt=0, description="seconds without any worker after which work on the Dask cluster is given up"
    )


class ArchiveSettings(Section):
    """The archive: months of predictions as Parquet in the object store, out of PostgreSQL."""

    schedule: str | None = Field(
        None,
        pattern=CRON,
        description="schedule of the DAG `deposit_archive`: a cron expression, or @daily; empty means none",
    )
    keep_months: int = Field(
        12,
        ge=3,
        le=1200,
        description="complete months before the current one whose predictions stay in PostgreSQL; an older month stays "
        "too if any of its rows was stored during them",
    )
    work_dir: FullPath | None = Field(
        None,
        description="folder for a month while it is written or read: about 70 bytes per row; empty means "
        "`<state_dir>/archive`",
    )


class MonitorSettings(Section):
    """Monitoring: its consequences; its metrics and verdicts cover all rows and need no setting."""

    cooldown_days: float = Field(
        7.0, ge=0, description="days after a request for a retraining in which no other is made for the same model"
    )
    max_unknown_share: float = Field(
        0.05,
        ge=0,
        le=1,
        description="share of a client's outcomes without a known prediction above which an alert fires",
    )
    sample_rows: int = Field(
        5000, ge=100, description="predictions in an Evidently report, and training rows that they are compared with"
    )
    webhook_url: SecretStr | None = Field(
        None, description="URL to which failed DAG runs are posted, as JSON in the format of Grafana's alerts"
    )
    workspace: FullPath | None = Field(
        None, description="workspace folder of Evidently's UI; empty means `<state_dir>/workspace`"
    )


Port = Annotated[int, Field(ge=1, le=65535)]


class StackSettings(Section):
    """The stack without Docker: ports, all on 127.0.0.1 except those that the gateway publishes, and Grafana."""

    gateway_port: Port = Field(8000, description="API and page")
    airflow_port: Port = Field(8080, description="Airflow UI and REST API")
    mlflow_port: Port = Field(5000, description="MLflow UI, behind a login")
    evidently_port: Port = Field(3001, description="Evidently UI, behind the same login: a report for each month")
    dask_port: Port = Field(8787, description="dashboard of a Dask scheduler, if one runs, behind the same login")
    store_port: Port = Field(9000, description="object store")
    postgres_port: Port = Field(15432, description="PostgreSQL")
    internal_port: int = Field(18800, ge=1, le=65526, description="first of 10 ports for the stack's internal servers")
    grafana_port: Port = Field(3000, description="Grafana UI, if one is started, with a login of its own")
    grafana: Literal["off"] | FullPath | None = Field(
        None,
        description="path of the Grafana program to start; empty means `grafana` or `grafana-server` on the PATH, "
        "`off` means none",
    )
