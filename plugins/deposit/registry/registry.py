"""The model registry: versions, their ids `<name>-v<version>`, the champion, and their files."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from deposit.errors import DataError, GateError
from deposit.model.artifact import ModelArtifact
from deposit.registry import runmodels, tracking
from deposit.registry.runmodels import LoggedModel
from deposit.settings import Settings
from deposit.store import ObjectStore

CHAMPION, PREVIOUS = "champion", "previous"
_APPOINTED = "deposit.champion"
"""Tag of the registered model: the version that was made champion last, should its alias be deleted."""
DATASET, METRICS = "deposit.dataset", "deposit.metrics"


@dataclass(frozen=True)
class Version:
    """A registered model; `created` in UTC and ISO form, `metrics` what could be computed of its own test window."""

    model_id: str
    version: int
    run_id: str
    created: str
    dataset: str
    metrics: Mapping[str, float]
    aliases: tuple[str, ...]


@dataclass(frozen=True)
class ArtifactLocation:
    """The folder of a version's files as MLflow names it, the sha256 of its model.json, and the model's threshold."""

    uri: str
    sha256: str
    threshold: float | None


def champion(settings: Settings) -> Version | None:
    """The version with the alias `champion`; None if there never was one, or no version is left.

    Raises GateError if somebody has deleted the alias or its version: who is champion now is for a person to decide.
    """
    known = versions(settings)
    found = _champion_of(known)
    if found is None and known:
        _refuse_vacancy(settings, known)
    return found


def appointed(settings: Settings) -> Version | None:
    """The version with the alias `champion`, if any has it now."""
    return _champion_of(versions(settings))


def versions(settings: Settings) -> list[Version]:
    """All registered versions, oldest first. Raises UpstreamError."""
    client = tracking.connect(settings)
    with tracking.mlflow_errors(settings):
        return [version_of(model, aliases) for model, aliases in registered(client, settings.mlflow.model_name)]


def by_id(settings: Settings, model_id: str) -> Version:
    """The version of an id like `deposit-v7`. Raises DataError if there is none."""
    number = parsemodel_id_of(settings, model_id)
    found = next((version for version in versions(settings) if version.version == number), None)
    if found is None:
        raise DataError(f"there is no model {model_id}: `deposit models` lists what there is")
    return found


def parsemodel_id_of(settings: Settings, model_id: str) -> int:
    """The version number in a model id. Raises DataError for anything else."""
    name = settings.mlflow.model_name
    match = re.fullmatch(rf"{re.escape(name)}-v([1-9]\d{{0,8}})", model_id)
    if match is None:
        raise DataError(f"{model_id!r} is not a model id: it must look like {name}-v7")
    return int(match.group(1))


def download(settings: Settings, version: Version, folder: Path) -> Path:
    """Fetch a version's files into a folder, each checked against its recorded sha256. Raises IntegrityError."""
    client = tracking.connect(settings)
    with tracking.mlflow_errors(settings):
        return runmodels.fetch(client, _logged(client, settings, version), folder)


def load(settings: Settings, version: Version) -> ModelArtifact:
    """A version's model, fetched and checked. Raises IntegrityError."""
    with TemporaryDirectory() as folder:
        return ModelArtifact.load(download(settings, version, Path(folder)), settings.train.threads)


def resolve_artifact(settings: Settings, version: Version) -> ArtifactLocation:
    """Where a version's files are, and what they must be. Raises IntegrityError if MLflow no longer has them."""
    client = tracking.connect(settings)
    with tracking.mlflow_errors(settings):
        model, run = _logged(client, settings, version), tracking.run(client, version.run_id)
        threshold = run.data.params.get("threshold") if run else None
        return ArtifactLocation(
            runmodels.place(client, model), model.sha256, None if threshold is None else float(threshold)
        )


def set_champion(settings: Settings, version: Version, before: Version | None) -> None:
    """Make a version the champion, and the one before it `previous`."""
    client, name = tracking.connect(settings), settings.mlflow.model_name
    with tracking.mlflow_errors(settings):
        if before is not None:
            client.set_registered_model_alias(name, PREVIOUS, str(before.version))
        client.set_registered_model_alias(name, CHAMPION, str(version.version))
        client.set_registered_model_tag(name, _APPOINTED, version.model_id)


def registered(client: MlflowClient, name: str) -> list[tuple[ModelVersion, tuple[str, ...]]]:
    """Versions with their aliases, oldest first; none if the model was never registered."""
    try:
        aliases: Mapping[str, object] = client.get_registered_model(name).aliases
    except MlflowException as error:
        if tracking.is_absent(error):
            return []
        raise
    found: list[ModelVersion] = []
    token: str | None = None
    while token != "":
        page = client.search_model_versions(f"name = '{name}'", max_results=1000, page_token=token)
        found += page
        token = page.token or ""
    # what somebody registered by hand cannot be checked, and is none of ours
    ours = [model for model in found if {DATASET, METRICS, tracking.SHA256} <= model.tags.keys()]
    ordered = sorted(ours, key=lambda model: int(model.version))
    return [
        (model, tuple(sorted(alias for alias, number in aliases.items() if str(number) == str(model.version))))
        for model in ordered
    ]


def version_of(model: ModelVersion, aliases: tuple[str, ...]) -> Version:
    """MLflow's version as one of ours."""
    created = datetime.fromtimestamp(model.creation_timestamp / 1000, UTC)
    return Version(
        model_id=model_id_of(model),
        version=int(model.version),
        run_id=str(model.run_id),
        created=created.isoformat(timespec="seconds"),
        dataset=model.tags[DATASET],
        metrics=json.loads(model.tags[METRICS]),
        aliases=aliases,
    )


def model_id_of(model: ModelVersion) -> str:
    """The id of a version: `<name>-v<version>`."""
    return f"{model.name}-v{model.version}"


def _champion_of(known: Sequence[Version]) -> Version | None:
    return next((version for version in known if CHAMPION in version.aliases), None)


def _refuse_vacancy(settings: Settings, known: Sequence[Version]) -> None:
    """Raise GateError if there was a champion."""
    client = tracking.connect(settings)
    with tracking.mlflow_errors(settings):
        last = client.get_registered_model(settings.mlflow.model_name).tags.get(_APPOINTED)
    if last is None:
        return
    if any(version.model_id == last for version in known):
        raise GateError(
            f"no model is champion any more: the alias of {last} was deleted in MLflow; `deposit promote {last}` gives "
            "it back, and `deposit promote` can give it to any other of `deposit models`"
        )
    raise GateError(
        f"no model is champion any more: {last} was deleted in MLflow; `deposit models` lists those that are left, and "
        f"`deposit promote` makes one of them champion, as `deposit promote {known[-1].model_id}` the newest"
    )


def _logged(client: MlflowClient, settings: Settings, version: Version) -> LoggedModel:
    registered = client.get_model_version(settings.mlflow.model_name, str(version.version))
    return LoggedModel(str(registered.source), registered.tags[tracking.SHA256], version.model_id)


_GIVEN = "models/"


def register(client: MlflowClient, settings: Settings, run: Run) -> Version:
    """The version of a candidate's run; a run is registered once, unless its version was deleted."""
    name = settings.mlflow.model_name
    known = registered(client, name)
    there = next((pair for pair in known if pair[0].run_id == run.info.run_id), None)
    if there:
        return version_of(*there)
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
        DATASET: run.data.tags[DATASET],
        METRICS: json.dumps(metrics),
        tracking.SHA256: run.data.tags[tracking.SHA256],
    }
    for key, value in tags.items():
        client.set_model_version_tag(name, made.version, key, value)
    return version_of(client.get_model_version(name, made.version), ())


def _numbered(client: MlflowClient, settings: Settings, run: Run) -> ModelVersion:
    """A version with an id that was never given before; without its tags it is not yet one of ours."""
    name, model = settings.mlflow.model_name, runmodels.of_run(run)
    description = f"{run.info.run_name} on {run.data.tags[DATASET]}"
    while True:
        made = client.create_model_version(
            name, model.uri, run.info.run_id, description=description, model_id=model.mlflow_id
        )
        if _give(settings, made):
            return made
        client.delete_model_version(name, made.version)


def _give(settings: Settings, model: ModelVersion) -> bool:
    """Take a version's id for ever; False if it was given before."""
    store, key = ObjectStore(settings.store), f"{_GIVEN}{model_id_of(model)}"
    return store.put_if_absent(settings.store.data_bucket, key, str(model.run_id).encode())
