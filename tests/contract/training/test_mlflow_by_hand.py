"""What somebody deletes in MLflow by hand: each has one sentence with a way on, and the way leads on."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pandas as pd
import pytest
from learning import published
from mlflow.tracking import MlflowClient
from sqlalchemy import insert, select, text

from deposit.data.columns import FEATURES
from deposit.database import connect
from deposit.errors import ConfigError, DataError, GateError, IntegrityError
from deposit.model.artifact import MODEL, REFERENCE
from deposit.monitoring.monitor import monitor
from deposit.registry.catalog import parse_catalog
from deposit.registry.registry import ModelRegistry
from deposit.registry.tags import Tag
from deposit.registry.versions import Version
from deposit.release.catalog_publisher import write_catalog
from deposit.sections import DatabaseSettings
from deposit.selection import selection
from deposit.selection.decision import champion_reason
from deposit.store import ObjectStore
from deposit.tables import metrics, predictions
from deposit.training.training import TrainingResult, train

pytestmark = [
    pytest.mark.servers,
    # MLflow's client leaves sockets to the garbage collector
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]

MLFLOW = Path(sys.executable).parent / "mlflow"


@contextmanager
def without(artifacts: Path, version: Version, name: str) -> Iterator[None]:
    """A file of a version's model is not in the store for a while; of one that was trained on the same, neither."""
    paths = [path for path in artifacts.rglob(name) if version.dataset in (path.parent / MODEL).read_text()]
    content = {path: path.read_bytes() for path in paths}
    assert paths
    for path in paths:
        path.unlink()
    try:
        yield
    finally:
        for path in paths:
            path.write_bytes(content[path])


def command_in(message: str) -> str:
    return message.split("`")[1]


def one_sentence(error: pytest.ExceptionInfo[Exception]) -> str:
    message = str(error.value)
    assert "\n" not in message
    assert len(message) < 400
    assert "does not answer" not in message
    return message


def test_a_deleted_experiment_is_brought_back_by_the_command_that_is_named(good, own, client, tmp_path) -> None:
    won = selection.select(own, good.run_id)
    (version,) = ModelRegistry(own).versions()
    client.delete_experiment(client.get_experiment_by_name(own.mlflow.experiment).experiment_id)

    uses: list[Callable[[], object]] = [lambda: train(own, good.dataset), lambda: selection.select(own)]
    for use in uses:
        with pytest.raises(ConfigError, match="restore") as error:
            use()
        one_sentence(error)
    with pytest.raises(DataError, match="or it was deleted"):
        selection.select(own, good.run_id)
    # the models do not need it
    assert ModelRegistry(own).champion() == version
    assert selection.promote(own, version.model_id) == won
    assert ModelRegistry(own).download(version, tmp_path / "model").is_dir()
    assert ModelRegistry(own).resolve_artifact(version).threshold is None

    environment = {"PATH": f"{MLFLOW.parent}:/usr/bin:/bin", "HOME": str(tmp_path)}
    subprocess.run(["bash", "-c", command_in(str(error.value))], env=environment, check=True, capture_output=True)
    assert train(own, good.dataset).run_id == good.run_id
    assert ModelRegistry(own).resolve_artifact(version).threshold is not None


def test_ids_are_never_given_again(good, bad, own, client) -> None:
    name, bucket = own.mlflow.model_name, ObjectStore(own.store).data
    selection.select(own, good.run_id)
    bucket.delete(f"models/{name}-v1")  # as it is for one that was registered before ids were kept
    selection.select(own, bad.run_id)
    client.delete_registered_model(name)
    assert ModelRegistry(own).versions() == []
    assert ModelRegistry(own).champion() is None

    again = selection.select(own, good.run_id)

    assert again.model_id == f"{name}-v3"
    assert again.is_champion
    assert [version.model_id for version in ModelRegistry(own).versions()] == [again.model_id]


def test_a_deleted_alias_is_given_back_by_the_command_that_is_named(good, bad, own, client) -> None:
    won = selection.select(own, good.run_id)
    client.delete_registered_model_alias(own.mlflow.model_name, "champion")

    for use in (lambda: selection.select(own, bad.run_id), lambda: ModelRegistry(own).champion()):
        with pytest.raises(GateError, match="was deleted in MLflow") as error:
            use()
        assert command_in(one_sentence(error)) == f"deposit promote {won.model_id}"

    assert selection.promote(own, won.model_id).is_champion
    refused = selection.select(own, bad.run_id)
    assert (refused.champion_before, refused.is_champion) == (won.model_id, False)


def test_a_deleted_champion_is_followed_by_whom_a_person_names(good, bad, own, client) -> None:
    first, second = selection.select(own, good.run_id), selection.select(own, bad.run_id)
    selection.promote(own, second.model_id)
    client.delete_model_version(own.mlflow.model_name, "2")

    with pytest.raises(GateError, match=f"{second.model_id} was deleted in MLflow.*promote {first.model_id}") as error:
        selection.select(own, good.run_id)
    one_sentence(error)
    with pytest.raises(DataError, match="`deposit models` lists what there is"):
        selection.promote(own, second.model_id)

    assert selection.promote(own, first.model_id).is_champion
    anew = selection.select(own, bad.run_id)
    assert anew.model_id.endswith("-v3")
    assert not anew.is_champion


@pytest.mark.parametrize("name", [MODEL, REFERENCE])
def test_a_champion_whose_files_are_gone_gives_way(good, bad, own, artifacts, tmp_path, name) -> None:
    own = own.changed("mlflow", model_name=f"files-of-{name}")
    champion = selection.promote(own, selection.select(own, bad.run_id).model_id)
    version = ModelRegistry(own).by_id(champion.model_id)

    with without(artifacts, version, name):
        with pytest.raises(IntegrityError, match="`deposit train`") as error:
            ModelRegistry(own).download(version, tmp_path / "model")
        assert champion.model_id in one_sentence(error)
        with pytest.raises(IntegrityError, match=champion.model_id):
            selection.promote(own, champion.model_id)
        with pytest.raises(IntegrityError, match="puts the challenger in its place") as error:
            selection.select(own, good.run_id)
        (promote,) = re.findall(r"`deposit promote (\S+)`", one_sentence(error))
        assert selection.promote(own, promote).champion_before == champion.model_id


def test_train_makes_anew_what_select_no_longer_has(quick, settings, own, few_recipes, rows, client, artifacts) -> None:
    assert published(settings, rows) == quick.dataset
    own = own.changed("train", trials=1, seed=8)
    with pytest.raises(GateError, match="run `deposit train`") as error:
        selection.select(own)
    one_sentence(error)
    first = train(own)
    client.delete_run(challenger_of(client, first))
    with pytest.raises(GateError, match="run `deposit train`"):
        selection.select(own)
    with pytest.raises(DataError, match="`deposit train`") as error:
        selection.select(own, first.run_id)
    one_sentence(error)

    second = train(own)
    assert not second.reused
    selected = selection.select(own)
    (version,) = ModelRegistry(own).versions()
    with without(artifacts, version, MODEL):
        with pytest.raises(GateError, match="run `deposit train`"):
            selection.select(own)
        with pytest.raises(DataError, match="`deposit train`"):
            selection.select(own, second.run_id)
    assert train(own).run_id == second.run_id
    assert selection.select(own) == selected


def test_a_version_whose_run_is_gone_for_good_goes_on(good, own, client, backend, tmp_path) -> None:
    run_id = copy_of(client, challenger_of(client, good), {})
    version = ModelRegistry(own).register(client.get_run(run_id))
    client.delete_run(run_id)
    command = [str(MLFLOW), "gc", "--backend-store-uri", backend, "--run-ids", run_id]
    environment = {"PATH": "/usr/bin:/bin", "MLFLOW_TRACKING_URI": own.mlflow.tracking_uri, "HOME": str(tmp_path)}
    subprocess.run(command, env=environment, check=True, capture_output=True)

    assert ModelRegistry(own).versions() == [version]
    assert ModelRegistry(own).resolve_artifact(version).threshold is None
    assert ModelRegistry(own).download(version, tmp_path / "model").is_dir()
    assert selection.promote(own, version.model_id).is_champion
    assert "the gate has not evaluated it" in champion_reason(
        version.model_id, selection.read_decision(ModelRegistry(own), version)
    )


def test_select_takes_the_newest_of_today_s_dataset_and_settings(good, settings, own, rows, client) -> None:
    assert published(settings, rows) == good.dataset
    stray = copy_of(client, good.run_id, {Tag.TRAINING_KEY: "one", Tag.SETTINGS: "of another shell"})
    old = copy_of(client, good.run_id, {Tag.TRAINING_KEY: "another", Tag.DATASET: "0123456789abcdef"})
    messages: list[str] = []

    selected = selection.select(own, progress=lambda message, *_: messages.append(message))

    assert selected.is_champion
    assert any(good.run_id in message for message in messages)
    assert not any(run_id in message for message in messages for run_id in (stray, old))


def test_models_that_are_gone_stand_in_no_other_s_way(good, bad, own, client, database, rows, tmp_path) -> None:
    settings = own.model_copy(update={"database": database, "state_dir": tmp_path})
    kept, gone = (selection.select(own, each.run_id).model_id for each in (good, bad))
    period = record_predictions(database, rows, kept, gone)
    assert {model.model_id for model in monitor(settings, period).models} == {kept, gone}
    client.delete_model_version(own.mlflow.model_name, "2")
    messages: list[str] = []

    seen = monitor(settings, period, lambda message, *_: messages.append(message))

    assert [model.model_id for model in seen.models] == [kept]
    assert any(f"{gone} is skipped" in message and "there is no model" in message for message in messages)
    assert verdicts_of(database) == {kept, gone}
    assert write_catalog(settings) == []
    assert [model.model_id for model in parse_catalog(settings.catalog_path.read_bytes()).models] == [kept]


def challenger_of(client: MlflowClient, training: TrainingResult) -> str:
    return str(client.get_run(training.run_id).data.tags["deposit.challenger_run"])


def copy_of(client: MlflowClient, run_id: str, tags: dict[str, str]) -> str:
    """Another finished run like this one, newer, but for these tags."""
    run = client.get_run(run_id)
    made = client.create_run(run.info.experiment_id, tags=run.data.tags | tags, run_name=run.info.run_name)
    client.set_terminated(made.info.run_id)
    return str(made.info.run_id)


def record_predictions(database: DatabaseSettings, rows: pd.DataFrame, *models: str) -> str:
    """Some predictions of each model, made today; the period that they are of."""
    now, engine = datetime.now(UTC), connect(database)
    columns = [column.name for column in FEATURES]
    listed = rows[columns].head(300).astype(object).rename(columns=lambda name: name.replace(".", "_"))
    made = {
        "event_time": now, "request_id": "r", "client": "c", "latency_ms": 1.0, "probability": 0.2, "threshold": 0.1,
        "subscribes": True,
    }  # fmt: skip
    given = [
        {**row, **made, "model_id": model, "prediction_id": uuid4()}
        for model in models
        for row in listed.to_dict(orient="records")
    ]
    with engine.begin() as connection:
        connection.execute(text("SELECT public.make_prediction_days(:days)"), {"days": [now.date()]})
        connection.execute(insert(predictions), given)
    engine.dispose()
    return now.strftime("%Y-%m")


def verdicts_of(database: DatabaseSettings) -> set[str]:
    engine = connect(database)
    with engine.connect() as connection:
        scopes = set(connection.scalars(select(metrics.c.scope).where(metrics.c.name == "verdict")))
    engine.dispose()
    return scopes
