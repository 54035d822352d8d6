"""Logging of a training to MLflow: runs, tags, metrics, plots, model cards and models."""

import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import mlflow
import msgspec
import pandas as pd
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag
from mlflow.models import ModelSignature
from mlflow.tracking import MlflowClient
from mlflow.types import ColSpec, Schema, TensorSpec

from deposit.data.columns import FEATURES, NAMES
from deposit.model.artifact import MODEL, ModelArtifact, ModelMetadata, Provenance, sha256_of
from deposit.model.evaluation import Economics, MonthMetrics
from deposit.registry import pyfunc, tracking
from deposit.registry.model_files import ARTIFACT
from deposit.registry.tags import RunRole, RunState, Tag, TrialState
from deposit.training.card import CardFigures, ModelCard, parse_figures
from deposit.training.card_document import to_markdown
from deposit.training.card_page import to_page
from deposit.training.challenger import Challenger, ScoredRecipe
from deposit.training.history import libraries
from deposit.training.search import Trial, TuningResult

_EXAMPLES = 3
_BATCH = 1000
"""Maximum number of metrics, parameters and tags in one request to MLflow."""
_TYPES: dict[type, str] = {str: "string", int: "long", float: "double"}
_PARENT = "mlflow.parentRunId"
_COMMIT = "mlflow.source.git.commit"


def start(
    client: MlflowClient, experiment_id: str, name: str, tags: Mapping[str, str], parent: str | None = None
) -> str:
    """Start a run, nested if it has a parent; returns its id."""
    nested = {_PARENT: parent} if parent else {}
    return str(client.create_run(experiment_id, tags={**tags, **nested}, run_name=name).info.run_id)


def provenance_tags(provenance: Provenance) -> dict[str, str]:
    """Tags of a training run."""
    return {
        Tag.DATASET: provenance.dataset,
        Tag.TRAINING_KEY: provenance.training_key,
        Tag.REVISION: provenance.revision,
        Tag.LOCK_SHA256: provenance.lock_sha256,
        Tag.CREATED: provenance.created,
        Tag.INGESTED: provenance.ingested,
        Tag.EXCLUDED_PERIODS: str(list(provenance.excluded_periods)),
        _COMMIT: provenance.revision.removesuffix("-dirty"),
    }


def metadata_tags(metadata: ModelMetadata) -> dict[str, str]:
    """Tags of a run that holds a model."""
    return provenance_tags(metadata) | {
        Tag.RECIPE: str(dict(metadata.recipe)),
        Tag.TRAIN_START: metadata.train_start,
        Tag.TRAIN_END: metadata.train_end,
        Tag.TEST_START: metadata.test_start,
        Tag.TEST_END: metadata.test_end,
        Tag.DEVELOPMENT_ROWS: str(metadata.development_rows),
        Tag.DEVELOPMENT_RATE: str(metadata.development_rate),
    }


def log_dataset(client: MlflowClient, run_id: str, version: str, uri: str, rows: int) -> None:
    """Log a dataset version as the input of a run, with the version as its digest."""
    columns = [{"name": column.name, "type": _TYPES[column.kind], "required": True} for column in FEATURES]
    schema, profile = json.dumps({"mlflow_colspec": columns}), json.dumps({"num_rows": rows})
    dataset = Dataset("deposit", version, "s3", json.dumps({"uri": uri}), schema, profile)
    client.log_inputs(run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])


def log_recipe(
    client: MlflowClient, experiment_id: str, parent: str, member: ScoredRecipe, tuning: TuningResult | None
) -> None:
    """Log a recipe's parameters, metrics and monthly curve to a run of its own, with its tuning trials nested below."""
    tuning = tuning if member.recipe.tuned else None
    run_id = start(client, experiment_id, member.recipe.name, {Tag.ROLE: RunRole.CANDIDATE}, parent)
    trees = asdict(tuning.best) if tuning else {}
    values = {**asdict(member.recipe), **trees, "weight": member.weight}
    log_values(client, run_id, member.metrics, values, _steps(member.curve, member.weights))
    for number, trial in enumerate(tuning.trials if tuning else ()):
        _log_trial(client, experiment_id, run_id, number, trial)
    client.set_terminated(run_id, RunState.FINISHED)


def log_challenger(
    client: MlflowClient,
    run_id: str,
    challenger: Challenger,
    card: CardFigures,
    economics: Economics,
    values: Mapping[str, Any],
) -> None:
    """Log the model of a training to its run, with parameters, metrics, monthly curve, plots and model card."""
    from deposit.training.plots import figures  # imports Matplotlib, which only training needs

    artifact = challenger.artifact
    described = {**artifact.metadata.recipe, "threshold": artifact.threshold, **values}
    measured = challenger_metrics(challenger) | {key: each for key, each in vars(economics).items() if each is not None}
    # first: when it logs a model, MLflow fetches the history of each metric of the run, one request after the other
    model_id = _log_model(client, run_id, artifact)
    steps, tags = _steps(challenger.curve, {}), metadata_tags(artifact.metadata)
    log_values(client, run_id, measured, described, steps, model_id, **tags)
    for file, figure in figures(artifact, challenger.predictions, economics).items():
        client.log_figure(run_id, figure, file)
    content = msgspec.json.encode(card)
    client.log_text(run_id, content.decode(), tracking.CARD_FIGURES)
    # rendered from the JSON, as at a release: metrics that could not be measured are null there
    readable = ModelCard(figures=parse_figures(content))
    tracking.log_card(client, run_id, to_markdown(readable), to_page(readable))


def challenger_metrics(challenger: Challenger) -> dict[str, float]:
    """Metrics with `_low` and `_high` (rows resampled) and `_month_low` and `_month_high` (months resampled)."""
    values: dict[str, float] = {}
    for name, metric in challenger.metrics.items():
        months = challenger.by_months[name]
        values |= {name: metric.value, f"{name}_low": metric.low, f"{name}_high": metric.high}
        values |= {f"{name}_month_low": months.low, f"{name}_month_high": months.high}
    return values


def _steps(curve: Sequence[MonthMetrics], weights: Mapping[str, float]) -> list[Metric]:
    """Metrics of each month as MLflow steps; the step is the month, such as 200905."""
    now = int(time.time() * 1000)
    steps = []
    for month in curve:
        values = {**asdict(month), **({"weight": weights[month.period]} if weights else {})}
        del values["period"]
        step = int(month.period.replace("-", ""))
        numbers = {name: value for name, value in values.items() if value == value}  # without NaN
        steps += [Metric(f"{tracking.BY_MONTH}{name}", value, now, step) for name, value in numbers.items()]
    return steps


def _log_trial(client: MlflowClient, experiment_id: str, parent: str, number: int, trial: Trial) -> None:
    """Log a tuning trial as a nested run, with its running log loss as steps; a pruned trial ends as KILLED."""
    state = TrialState.PRUNED if trial.pruned else TrialState.COMPLETE
    tags: dict[str, str] = {Tag.ROLE: RunRole.TRIAL, Tag.TRIAL_STATE: state}
    run_id = start(client, experiment_id, f"trial {number:02d}", tags, parent)
    now = int(time.time() * 1000)
    steps = [Metric("log_loss", loss, now, step) for step, loss in enumerate(trial.losses)]
    client.log_batch(run_id, steps, _params(asdict(trial.trees)))
    client.set_terminated(run_id, RunState.KILLED if trial.pruned else RunState.FINISHED)


def log_values(
    client: MlflowClient,
    run_id: str,
    metrics: Mapping[str, float],
    values: Mapping[str, Any],
    steps: Sequence[Metric] = (),
    model_id: str | None = None,
    **tags: str,
) -> None:
    """Log metrics (without NaN), parameters, stepped metrics and tags, in as few requests as MLflow allows.

    With a `model_id`, the metrics, but not the stepped ones, belong to that logged model too.
    """
    now = int(time.time() * 1000)
    named_numbers = {name: value for name, value in metrics.items() if value == value}  # without NaN
    numbers = [Metric(name, value, now, 0, model_id) for name, value in named_numbers.items()]
    numbers += steps
    parameters, named = _params(values), [RunTag(name, value) for name, value in tags.items()]
    room = _BATCH - len(parameters) - len(named)
    client.log_batch(run_id, numbers[:room], parameters, named)
    for first in range(room, len(numbers), _BATCH):
        client.log_batch(run_id, numbers[first : first + _BATCH])


def _log_model(client: MlflowClient, run_id: str, artifact: ModelArtifact) -> str:
    """Log a model's files to a run; returns MLflow's id of the model."""
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder) / ARTIFACT
        artifact.save(files)
        example = pd.DataFrame(artifact.parity.rows[:_EXAMPLES], columns=list(NAMES))
        with mlflow.start_run(run_id=run_id):
            logged = mlflow.pyfunc.log_model(
                name="model",
                python_model=str(Path(pyfunc.__file__)),
                artifacts={ARTIFACT: str(files)},
                signature=signature(),
                input_example=example,
                pip_requirements=[f"mlflow=={mlflow.__version__}", *libraries()],
            )
        client.set_tag(run_id, Tag.MODEL_SHA256, sha256_of((files / MODEL).read_bytes()))
        client.set_tag(run_id, Tag.MODEL_URI, logged.model_uri)
    return str(logged.model_id)


def signature() -> ModelSignature:
    """Model signature: the raw columns as input, a probability as output."""
    columns: list[ColSpec | TensorSpec] = [ColSpec(_TYPES[column.kind], column.name) for column in FEATURES]
    return ModelSignature(Schema(columns), Schema([ColSpec("double", "probability")]))


def _params(values: Mapping[str, Any]) -> list[Param]:
    return [Param(name, str(value)) for name, value in values.items()]
