"""Who may do what in the object store: one key a part, with the least that it needs, in no server's words."""

from dataclasses import dataclass, field

from deposit.sections import StoreSettings
from deposit.stack.credentials import Credentials

ADMIN = "admin"
"""Access key of the store's administrator, who makes the buckets; no part holds it."""


@dataclass(frozen=True)
class Grant:
    """A key by its name, and the buckets that it may read objects of, or read, list and write."""

    name: str
    secret: str = field(repr=False)
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()


def grants(store: StoreSettings, secrets: Credentials) -> list[Grant]:
    """MLflow has its bucket, Airflow the logs, the pipeline all others; services read MLflow's and no more."""
    pipeline = (store.data_bucket, store.bentos_bucket, store.reports_bucket)
    return [
        Grant("pipeline", secrets.store_pipeline, writes=pipeline),
        Grant("mlflow", secrets.store_mlflow, writes=(store.mlflow_bucket,)),
        Grant("serving", secrets.store_serving, reads=(store.mlflow_bucket,)),
        Grant("airflow", secrets.store_airflow, writes=(store.logs_bucket,)),
    ]
