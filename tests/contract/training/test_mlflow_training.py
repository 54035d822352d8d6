"""Training and selection against a real MLflow server (proxied artifacts) and a real object store."""

import json
from collections.abc import Callable

import mlflow
import msgspec
import numpy as np
import pandas as pd
import pytest
from dask_cluster import dask_cluster
from learning import make_champion, published
from mlflow.tracking import MlflowClient

from deposit.cli.model_commands import models
from deposit.errors import ConfigError, DataError, GateError, IntegrityError, SourceError, UpstreamError
from deposit.model.artifact import MODEL, ModelArtifact
from deposit.model.worth import worths_of
from deposit.registry.registry import ModelRegistry, load_model
from deposit.scoring.score import ScoreRequest, score
from deposit.sections import SelectSettings
from deposit.selection import selection
from deposit.selection.backtest import evaluate_dataset
from deposit.selection.decision import champion_reason
from deposit.selection.gate import RefitPolicy
from deposit.selection.report import print_evaluation
from deposit.selection.selection import select
from deposit.settings import Settings, variables
from deposit.store import Bucket
from deposit.training.recipes import RECIPES
from deposit.training.training import train

pytestmark = [
    pytest.mark.servers,
    # MLflow's client leaves sockets to the garbage collector
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]


def reason_of(settings: Settings, model_id: str) -> str:
    registry = ModelRegistry(settings)
    return champion_reason(model_id, selection.read_decision(registry, registry.by_id(model_id)))


def test_a_training_is_a_parent_with_a_run_per_recipe_and_nested_trials(good, client, settings) -> None:
    parent = client.get_run(good.run_id)
    assert parent.info.status == "FINISHED"
    assert parent.data.tags["deposit.dataset"] == good.dataset
    assert parent.data.tags["deposit.revision"] == "abc123"
    assert len(parent.data.tags["deposit.lock_sha256"]) == 64
    assert parent.inputs.dataset_inputs[0].dataset.digest == good.dataset
    assert [recipe.name for recipe in good.recipes] == [recipe.name for recipe in RECIPES]
    assert sum(recipe.weight for recipe in good.recipes) == pytest.approx(1)
    tuned = next(recipe for recipe in good.recipes if recipe.name == "xgboost-tuned")
    runs = client.search_runs([parent.info.experiment_id], f"tags.`mlflow.parentRunId` = '{tuned.run_id}'")
    assert len(runs) == settings.train.trials
    states = {run.data.tags["deposit.state"]: run.info.status for run in runs}
    assert states.items() <= {"complete": "FINISHED", "pruned": "KILLED"}.items()


def test_the_model_has_metrics_with_both_intervals_plots_and_a_card(good, client) -> None:
    for name in ("accuracy", "f1", "roc_auc", "pr_auc", "brier", "log_loss", "lift_10", "capture_30", "profit"):
        assert good.metrics[f"{name}_low"] <= good.metrics[name] <= good.metrics[f"{name}_high"]
        assert good.metrics[f"{name}_month_low"] <= good.metrics[name] <= good.metrics[f"{name}_month_high"]
        assert all(name in recipe.metrics for recipe in good.recipes)
    files = {file.path for file in client.list_artifacts(good.run_id)}
    plots = {file.path for file in client.list_artifacts(good.run_id, "plots")}
    assert {"model_card.json", "model_card.md", "model_card.html"} <= files
    assert len(plots) == 4
    run = client.get_run(good.run_id)
    logged = client.get_logged_model(run.outputs.model_outputs[0].model_id)
    months = {name for name in run.data.metrics if name.startswith("month/")}
    assert {metric.key for metric in logged.metrics} == run.data.metrics.keys() - months
    assert {metric.key: metric.value for metric in logged.metrics}.items() <= run.data.metrics.items()


def test_a_recipe_has_its_curve_and_weight_by_month(good, rows, client) -> None:
    months = sorted(rows["period"].unique())[6:]
    curve = client.get_metric_history(good.recipes[0].run_id, "month/log_loss")

    assert sorted(metric.step for metric in curve) == [int(month.replace("-", "")) for month in months]
    weights = {
        metric.step: metric.value for metric in client.get_metric_history(good.recipes[0].run_id, "month/weight")
    }
    assert weights[int(months[0].replace("-", ""))] == pytest.approx(1 / len(good.recipes))


def test_the_same_training_is_done_once(good, settings) -> None:
    again = train(settings, good.dataset)

    assert again.reused
    assert (again.run_id, again.recipes, again.metrics) == (good.run_id, good.recipes, good.metrics)
    assert again.challenger == good.challenger == "mixture"


def test_a_changed_price_is_no_other_training(good, settings, client) -> None:
    again = train(settings.changed("economics", deposit_value=4.0).changed("train", threads=1), good.dataset)

    assert (again.reused, again.run_id) == (True, good.run_id)
    params = client.get_run(good.run_id).data.params  # those that the profit there is of
    assert (params["deposit_value"], params["call_cost"]) == ("10.0", "1.0")
    # and those that its worth is told at
    assert (again.metrics["deposit_value"], again.metrics["call_cost"], "capacity" in again.metrics) == (
        10.0,
        1.0,
        False,
    )
    (worth,) = worths_of(again.metrics, {}, "_month")
    assert worth.profit == again.metrics["profit"]
    assert worth.profit <= worth.oracle


def test_months_that_are_left_out_are_neither_learned_from_nor_scored(
    quick, quick_settings, few_recipes, rows, client
) -> None:
    newest = rows["period"].max()
    left = train(quick_settings, quick.dataset, [newest, "2008-06"])
    again = train(quick_settings, quick.dataset, ["2008-06", newest])
    models = ModelRegistry(quick_settings.changed("mlflow", model_name="left"))
    rules = quick_settings.train
    policy = RefitPolicy(quick_settings.select, rules.label_delay, rules.bootstrap, rules.seed)
    version = models.register(client.get_run(left.run_id))
    comparison = selection.compare(models, quick_settings.store, policy, version, None)

    assert again.reused
    assert left.run_id != quick.run_id
    assert client.get_run(left.run_id).data.tags["deposit.left_out"] == str([newest, "2008-06"])
    months = rows["period"].unique().tolist()
    before = sorted(set(months) - {newest, "2008-06"})[-1]
    assert comparison.window.last == before
    tags = client.get_run(left.run_id).data.tags
    assert (tags["deposit.trained_from"], tags["deposit.trained_through"]) == ("2008-05", before)
    assert tags["deposit.tested_through"] == before


def test_months_that_are_left_out_and_not_there_change_nothing(good, settings) -> None:
    messages: list[str] = []

    again = train(settings, good.dataset, ["1971-05", "2031-01"], lambda message, *_: messages.append(message))

    assert again.reused
    assert again.run_id == good.run_id
    assert not [message for message in messages if "1971-05" in message or "2031-01" in message]


def test_of_the_months_that_are_left_out_those_that_are_there_count(
    quick, quick_settings, few_recipes, rows, client, monkeypatch
) -> None:
    newest = rows["period"].max()
    messages: list[str] = []
    asked: list[str] = []  # of each metric by itself, which would be most calls of a training
    monkeypatch.setattr(MlflowClient, "get_metric_history", lambda _, run_id, name: asked.append(name) or [])
    mixed = train(quick_settings, quick.dataset, [newest, "2031-01"], lambda message, *_: messages.append(message))

    assert train(quick_settings, quick.dataset, ["1971-05", newest]).run_id == mixed.run_id
    assert client.get_run(mixed.run_id).data.tags["deposit.left_out"] == str([newest])
    assert f"leaving out {newest}: monitoring says that the data is broken" in messages
    assert asked == []


def test_a_model_whose_ranking_was_never_measured_is_listed_with_a_dash(
    quick_settings, few_recipes, rows, monkeypatch, capsys
) -> None:
    own = quick_settings.changed("mlflow", model_name="unranked")
    newest = rows["period"] >= "2008-12"
    trained = train(quick_settings, published(quick_settings, rows.assign(y=rows["y"].where(~newest, 0))))
    refused = select(own, trained.run_id)

    monkeypatch.setenv("DEPOSIT_MLFLOW__TRACKING_URI", own.mlflow.tracking_uri)
    monkeypatch.setenv("DEPOSIT_MLFLOW__MODEL_NAME", own.mlflow.model_name)
    models()
    (line,) = (line for line in capsys.readouterr().out.splitlines() if refused.model_id in line)

    assert not refused.promoted
    assert "only one outcome" in refused.reason
    (version,) = ModelRegistry(own).versions()
    assert "roc_auc" not in version.metrics
    *_, ranking, loss = (cell.strip() for cell in line.split("│"))
    assert (ranking, loss) == ("-", f"{version.metrics['log_loss']:.3f}")


def test_a_failed_training_is_marked_and_not_reused(settings, rows, client) -> None:
    version = published(settings, rows.assign(y=np.int8(0)))

    for _ in range(2):
        with pytest.raises(DataError, match="same outcome"):
            train(settings, version)

    experiment = client.get_experiment_by_name(settings.mlflow.experiment)
    failed = client.search_runs([experiment.experiment_id], f"tags.`deposit.dataset` = '{version}'")
    assert [run.info.status for run in failed] == ["FAILED", "FAILED"]


def test_first_champion_then_nothing_changes(good, own, client) -> None:
    first = select(own, good.run_id)
    before = ModelRegistry(own).versions()
    again = select(own, good.run_id)

    assert (first.promoted, first.is_champion, first.champion_before) == (True, True, None)
    assert "constant" in first.reason
    assert all(criterion.passed for criterion in first.criteria)
    assert again == first
    assert ModelRegistry(own).versions() == before
    champion = ModelRegistry(own).champion()
    assert champion is not None
    assert champion == ModelRegistry(own).by_id(first.model_id) == before[0]
    assert champion.aliases == ("champion",)
    assert champion.metrics["roc_auc"] == good.metrics["roc_auc"]


def test_decisions_are_stored_with_version_and_run(good, own, client) -> None:
    selected = select(own, good.run_id)
    champion = ModelRegistry(own).champion()
    assert champion is not None

    tags = client.get_model_version(own.mlflow.model_name, str(champion.version)).tags
    stored = json.loads(mlflow.artifacts.load_text(f"runs:/{champion.run_id}/gate.json"))

    assert tags["deposit.gate"] == "passed"
    assert tags["deposit.gate.roc_auc_difference_upper_end"].startswith("passed: ")
    assert stored["reason"] == selected.reason
    assert [item["name"] for item in stored["criteria"]] == [criterion.name for criterion in selected.criteria]


def test_a_worse_challenger_is_refused(good, bad, own) -> None:
    champion = select(own, good.run_id)

    refused, again = select(own, bad.run_id), select(own, bad.run_id)

    assert (refused.promoted, refused.is_champion) == (False, False)
    assert refused.champion_before == champion.model_id
    assert not all(criterion.passed for criterion in refused.criteria)
    assert again == refused
    assert [version.aliases for version in ModelRegistry(own).versions()] == [("champion",), ()]


def test_a_version_is_registered_by_one_object_however_many_there_are(good, bad, own, monkeypatch) -> None:
    select(own, good.run_id)
    written: list[str] = []
    put = Bucket.put_if_absent
    monkeypatch.setattr(Bucket, "put_if_absent", lambda self, key, data: written.append(key) or put(self, key, data))

    second = select(own, bad.run_id)

    assert written == [f"models/{second.model_id}"]


def test_a_better_challenger_replaces_the_champion_which_stays_at_hand(good, bad, own) -> None:
    make_champion(own, bad)

    promoted, again = select(own, good.run_id), select(own, good.run_id)

    assert promoted.promoted
    assert again == promoted
    assert [version.aliases for version in ModelRegistry(own).versions()] == [("previous",), ("champion",)]


def test_why_a_version_is_champion_is_reported_to_who_releases_it(good, bad, own) -> None:
    won, lost = select(own, good.run_id), select(own, bad.run_id)
    refused = ModelRegistry(own).by_id(lost.model_id)
    ModelRegistry(own).set_champion(refused, ModelRegistry(own).by_id(won.model_id))

    assert reason_of(own, won.model_id) == won.reason
    assert reason_of(own, lost.model_id) == f"promoted manually, although {lost.reason}"


def test_the_plain_rule_compares_accuracy_and_f1(good, bad, own) -> None:
    make_champion(own, good)
    plain = own.model_copy(update={"select": SelectSettings(rule="accuracy_f1")})

    by_gate, by_plain = select(own, bad.run_id), select(plain, bad.run_id)

    assert not by_gate.promoted
    names = [criterion.name for criterion in by_plain.criteria]
    assert names == ["accuracy_difference", "f1_difference", "larger_of_both_differences"]
    assert by_plain.promoted == all(criterion.passed for criterion in by_plain.criteria)


def test_dasks_workers_load_the_model_by_its_id(good, own, rows, tmp_path, monkeypatch) -> None:
    make_champion(own, good)
    rows.head(500).assign(id=range(500)).to_parquet(tmp_path / "rows.parquet")
    known = {name: value for name, value in variables(own).items() if name.startswith("DEPOSIT_MLFLOW__")}
    source, own = str(tmp_path / "rows.parquet"), own.model_copy(update={"state_dir": tmp_path / "state"})
    with dask_cluster(workers=1, **known, DEPOSIT_STATE_DIR=str(tmp_path)) as cluster:
        there = own.changed("compute", scheduler=cluster.address, patience=180.0)
        result = score(there, ScoreRequest(source, str(tmp_path / "there")))
    score(own, ScoreRequest(source, str(tmp_path / "here")))
    assert (result.rows, result.model_id) == (500, f"{own.mlflow.model_name}-v1")
    part = "part-00000.parquet"
    assert (tmp_path / "there" / part).read_bytes() == (tmp_path / "here" / part).read_bytes()

    for name, value in known.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=r"worker .* knows another model as .*-v1: give it the same DEPOSIT_MLFLOW__"):
        load_model(result.model_id, "0" * 64)


def test_a_champion_of_later_months_is_a_refusal_with_that_reason(good, bad, own, monkeypatch) -> None:
    make_champion(own, good)
    load = ModelArtifact.load.__func__

    def dated_wrongly(cls, folder, threads=1):
        artifact = load(cls, folder, threads)
        end = "2011-03" if artifact.metadata.dataset == good.dataset else artifact.metadata.train_end
        metadata = msgspec.structs.replace(artifact.metadata, train_end=end)
        return ModelArtifact(**{**vars(artifact), "metadata": metadata})

    monkeypatch.setattr(ModelArtifact, "load", classmethod(dated_wrongly))

    refused = select(own, bad.run_id)

    assert not refused.promoted
    assert "after 2011-03: there is no call to compare on" in refused.reason
    assert "trained through 2011-03, the challenger's data ends in 2010-11" in refused.reason
    assert f"`deposit promote {refused.model_id}`" in refused.reason


def test_newer_months_refresh_the_champion(good, own, rows) -> None:
    before = train(own, published(own, rows[rows["period"] < "2010-09"]))
    first = select(own, before.run_id)

    second = select(own, good.run_id)

    assert first.is_champion
    assert (second.promoted, second.champion_before) == (True, first.model_id)
    assert "the same recipes on newer months pass unless" in second.reason
    assert "calls of 2010-09 to 2010-11" in second.reason
    models = ModelRegistry(own)
    assert models.load(models.by_id(second.model_id)).metadata.train_end == "2010-11"


def test_the_plain_rule_serves_one_recipe_by_accuracy_and_f1(quick, own, few_recipes) -> None:
    plain = own.model_copy(update={"select": SelectSettings(rule="accuracy_f1")}).changed("train", trials=1)

    trained = train(plain, quick.dataset)

    assert not trained.reused
    assert {recipe.weight for recipe in trained.recipes} == {0.0, 1.0}
    (chosen,) = (recipe for recipe in trained.recipes if recipe.weight)
    assert trained.challenger == chosen.name
    assert select(plain, trained.run_id).is_champion


def test_an_evaluation_is_what_training_expects(quick, quick_settings, few_recipes, capsys) -> None:
    evaluation = evaluate_dataset(quick_settings.changed("economics", capacity=20), quick.dataset)

    assert [month.promoted for month in evaluation.months] == [True] * len(evaluation.months)
    assert {recipe.name for recipe in evaluation.recipes} == {recipe.name for recipe in quick.recipes}
    assert evaluation.policy.by_rows["log_loss"].value == pytest.approx(quick.metrics["log_loss"])
    assert evaluation.policy.by_months["log_loss"].high == pytest.approx(quick.metrics["log_loss_month_high"])
    for name in ("profit", "profit_at_capacity", "profit_random_at_capacity"):
        months = [month.profits[name].value for month in evaluation.policy.profits]
        assert sum(months) == pytest.approx(evaluation.policy.by_rows[name].value)
    print_evaluation(evaluation)
    printed = " ".join(capsys.readouterr().out.split())
    assert "Profit by month with at most 20 calls" in printed
    assert "1 a call and at most 20 calls a month: choosing by the model earned" in printed


def test_a_refused_challenger_is_promoted_by_hand_with_its_reason(good, bad, own, client) -> None:
    won, lost = select(own, good.run_id), select(own, bad.run_id)

    promoted = selection.promote(own, lost.model_id, "the months were wrong")
    again = selection.promote(own, lost.model_id, "the months were wrong")

    assert again == promoted
    assert (promoted.promoted, promoted.is_champion, promoted.champion_before) == (True, True, won.model_id)
    assert promoted.criteria == lost.criteria
    assert [version.aliases for version in ModelRegistry(own).versions()] == [("previous",), ("champion",)]
    champion = ModelRegistry(own).by_id(lost.model_id)
    reason = reason_of(own, lost.model_id)
    assert reason == promoted.reason
    assert "promoted manually, in place of" in reason
    assert "the months were wrong; the gate: " in reason
    assert lost.reason in reason
    tags = client.get_model_version(own.mlflow.model_name, str(champion.version)).tags
    assert tags["deposit.gate"] == "by hand"
    assert select(own, bad.run_id) == promoted


def test_a_promotion_that_was_interrupted_is_finished_by_the_next(good, bad, own, monkeypatch) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    won, lost = select(own, good.run_id), select(own, bad.run_id)
    with monkeypatch.context() as patch:
        patch.setattr(ModelRegistry, "set_champion", killed)
        with pytest.raises(KeyboardInterrupt):
            selection.promote(own, lost.model_id)
    champion = ModelRegistry(own).champion()
    assert champion is not None
    assert champion.model_id == won.model_id

    assert selection.promote(own, lost.model_id).champion_before == won.model_id
    champion = ModelRegistry(own).champion()
    assert champion is not None
    assert champion.model_id == lost.model_id


def test_a_promotion_by_hand_that_was_taken_back_is_not_repeated_by_the_gate(good, bad, own) -> None:
    won, lost = select(own, good.run_id), select(own, bad.run_id)
    selection.promote(own, lost.model_id)
    selection.promote(own, won.model_id, "taken back")

    refused = select(own, bad.run_id)

    assert not refused.promoted
    champion = ModelRegistry(own).champion()
    assert champion is not None
    assert champion.model_id == won.model_id


def test_a_selection_that_was_interrupted_is_finished_by_the_next(good, own, monkeypatch) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ModelRegistry, "set_champion", killed)
        with pytest.raises(KeyboardInterrupt):
            select(own, good.run_id)
    assert ModelRegistry(own).champion() is None

    assert select(own, good.run_id).is_champion
    assert len(ModelRegistry(own).versions()) == 1


def test_a_champion_whose_bytes_changed_is_an_error(good, bad, own, artifacts, settings) -> None:
    make_champion(own, bad)
    changed = [
        path for path in artifacts.rglob(MODEL) if json.loads(path.read_text())["metadata"]["dataset"] == bad.dataset
    ]
    content = {path: path.read_bytes() for path in changed}
    for path in changed:
        path.write_bytes(content[path].replace(b'"threshold": 0', b'"threshold": 1'))
    try:
        with pytest.raises(IntegrityError, match="is not what was registered"):
            select(own, good.run_id)
    finally:
        for path in changed:
            path.write_bytes(content[path])
    champion = ModelRegistry(own).champion()
    assert champion is not None
    assert champion.model_id.endswith("-v1")


def test_downloaded_files_load_and_score_as_in_training(good, own, tmp_path) -> None:
    select(own, good.run_id)
    champion = ModelRegistry(own).champion()
    assert champion is not None

    model = ModelArtifact.load(ModelRegistry(own).download(champion, tmp_path / "model"))

    scored = model.probabilities(model.encoder.encode_rows(model.parity.rows))
    assert scored.tolist() == model.parity.probabilities
    assert model.metadata.dataset == good.dataset


def test_mlflow_loads_the_champion_without_a_pickle(good, own, rows, artifacts, tmp_path) -> None:
    select(own, good.run_id)
    champion = ModelRegistry(own).champion()
    assert champion is not None

    loaded = mlflow.pyfunc.load_model(f"models:/{own.mlflow.model_name}@champion")

    model = ModelArtifact.load(ModelRegistry(own).download(champion, tmp_path / "model"))
    raw = rows[[name for name in rows if name not in ("id", "period", "y")]].head(20).astype({"job": "str"})
    raw = pd.DataFrame({name: raw[name].tolist() for name in raw})
    assert loaded.predict(raw).tolist() == model.probabilities(model.encoder.encode_columns(raw)).tolist()
    assert loaded.metadata.signature.inputs.input_names() == list(raw)
    assert not [path for path in artifacts.rglob("*") if path.suffix in (".pkl", ".pickle", ".joblib")]


def test_unknown_things_are_named(own, settings) -> None:
    with pytest.raises(DataError, match="there is no model"):
        ModelRegistry(own).by_id(f"{own.mlflow.model_name}-v9")
    with pytest.raises(DataError, match="is not a model id"):
        ModelRegistry(own).by_id("best")
    with pytest.raises(DataError, match="there is no MLflow run"):
        select(own, "0" * 32)
    with pytest.raises(GateError, match="deposit train"):
        select(settings.changed("mlflow", experiment="empty"))
    with pytest.raises(SourceError, match="no dataset version"):
        train(settings, "missing")
    assert ModelRegistry(own).versions() == []
    assert ModelRegistry(own).champion() is None


def test_a_server_that_is_down_is_said_in_one_line(settings, free_ports) -> None:
    down = settings.changed("mlflow", tracking_uri=f"http://127.0.0.1:{free_ports(1)}")

    models = ModelRegistry(down)
    uses: list[Callable[[], object]] = [lambda: train(down), lambda: select(down), models.champion, models.versions]
    for use in uses:
        with pytest.raises(UpstreamError, match=r"MLflow at .* does not answer") as error:
            use()
        assert "\n" not in str(error.value)
