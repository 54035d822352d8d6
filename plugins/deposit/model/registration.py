"""The registration of a model: the version of a candidate's run, with an id that no other model has ever had.

An id is given once, whatever somebody deletes in MLflow: predictions are kept by it. MLflow counts from 1 again once a
registered model is deleted, so the ids that were given are kept in the object store, as `models/<id>`.
"""

import json

from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from deposit.model import logged, registry, tracking
from deposit.model.registry import Version
from deposit.settings import Settings
from deposit.store import ObjectStore

_GIVEN = "models/"


def register(client: MlflowClient, settings: Settings, run: Run) -> Version:
    """The version of a candidate's run; a run is registered once, unless its version was deleted."""
    name = settings.mlflow.model_name
    known = registry.registered(client, name)
    there = next((pair for pair in known if pair[0].run_id == run.info.run_id), None)
    if there:
        return registry.version_of(*there)
    for model, _ in known:  # those that were registered before ids were kept
        _give(settings, model)
    try:
        client.create_registered_model(name, description="Probability that a called customer takes a term deposit.")
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    made = _numbered(client, settings, run)
    metrics = {key: value for key, value in run.data.metrics.items() if not key.startswith(tracking.VALIDATION)}
    tags = {
        registry.DATASET: run.data.tags[registry.DATASET],
        registry.METRICS: json.dumps(metrics),
        tracking.SHA256: run.data.tags[tracking.SHA256],
    }
    for key, value in tags.items():
        client.set_model_version_tag(name, made.version, key, value)
    return registry.version_of(client.get_model_version(name, made.version), ())


def _numbered(client: MlflowClient, settings: Settings, run: Run) -> ModelVersion:
    """A version with an id that was never given before; without its tags it is not yet one of ours."""
    name, model = settings.mlflow.model_name, logged.of_run(run)
    description = f"{run.info.run_name} on {run.data.tags[registry.DATASET]}"
    while True:
        made = client.create_model_version(
            name, model.uri, run.info.run_id, description=description, model_id=model.mlflow_id
        )
        if _give(settings, made):
            return made
        client.delete_model_version(name, made.version)


def _give(settings: Settings, model: ModelVersion) -> bool:
    """Take a version's id for ever; False if it was given before."""
    store, key = ObjectStore(settings.store), f"{_GIVEN}{registry.model_id_of(model)}"
    return store.put_if_absent(settings.store.data_bucket, key, str(model.run_id).encode())
