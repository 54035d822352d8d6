"""The card that a release leaves: real training, registry, store and database, and the Bento as it is built."""

import io
import tarfile
from uuid import uuid4

import pytest
from learning import make_champion
from mlflow.tracking import MlflowClient
from sqlalchemy import Connection, insert

from deposit.database import transaction
from deposit.errors import DataError, IntegrityError, SourceError
from deposit.overview import stored_pages
from deposit.registry import tracking
from deposit.release import repository, requests
from deposit.release.repository import LIVE, Release
from deposit.sections import DatabaseSettings
from deposit.settings import Settings
from deposit.store import ObjectStore, split_uri
from deposit.tables import metrics
from deposit.training.card import ServedModel, parse_card
from deposit.training.training import TrainingResult

pytestmark = [
    pytest.mark.servers,
    # MLflow's client leaves sockets to the garbage collector
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def releasing(settings: Settings, database: DatabaseSettings, quick: TrainingResult) -> Settings:
    """A champion of a model of the test's own, and a database of its own."""
    own = settings.model_copy(update={"database": database}).changed("mlflow", model_name=f"card-{uuid4().hex[:8]}")
    make_champion(own, quick)
    return own


def go_live(connection: Connection, model_id: str, why: str, kind: str = "release") -> Release:
    values = {"kind": kind, "model_id": model_id, "why": why, "target": "process"}
    release = repository.request(connection, values | {"bento_tag": "t", "bento_uri": "u", "bento_sha256": "0" * 64})
    for state in ("building", "testing"):
        release = repository.step(connection, release, state)
    return repository.go_live(connection, release, "http://127.0.0.1:1")


def served(settings: Settings, model_id: str) -> None:
    """It was live, two months of it were monitored, and of one of them the outcomes are known."""
    with transaction(settings.database) as connection:
        go_live(connection, model_id, "it <b>won</b>")
        go_live(connection, model_id, "its settings have changed", "renewal")
        by_period = {"2010-05": {"rows": 100.0, "roc_auc": 0.6}, "2010-06": {"rows": 50.0}, "2010-06-03": {"rows": 7.0}}
        rows = [
            {"period": period, "scope": model_id, "name": name, "value": value}
            for period, values in by_period.items()
            for name, value in values.items()
        ]
        connection.execute(insert(metrics), rows)


def test_a_release_leaves_its_card_with_what_served_before(
    releasing: Settings, quick: TrainingResult, client: MlflowClient
) -> None:
    name = releasing.mlflow.model_name
    reports = ObjectStore(releasing.store).reports
    served(releasing, f"{name}-v9")
    served(releasing, f"other-{name}-v1")

    release = requests.request_release(releasing)

    card = parse_card(reports.get(f"cards/{release.model_id}.json"))
    assert card.history == (
        ServedModel(
            model_id=f"{name}-v9", months=2, first="2010-05", last="2010-06", predictions=150, roc_auc=0.6,
            why="it <b>won</b>",
        ),
    )  # fmt: skip
    assert (card.model_id, card.why) == (release.model_id, release.why)
    assert card.figures.metadata.dataset == quick.dataset
    assert card.figures.metrics["log_loss"].value == pytest.approx(quick.metrics["log_loss"])
    page, markdown = (reports.get(f"cards/{release.model_id}.{form}").decode() for form in ("html", "md"))
    for text in (page, markdown):
        assert f"{name}-v9" in text
        assert "it <b>won" not in text
        assert "Not for credit decisions" in text
    assert stored_pages.card(ObjectStore(releasing.store).reports, release.model_id).decode() == page
    with tarfile.open(
        fileobj=io.BytesIO(ObjectStore(releasing.store).bentos.get(split_uri(release.bento_uri)[1]))
    ) as it:
        baked = [it.extractfile(member) for member in it if member.name.endswith("/card.html")]
        assert [file.read().decode() for file in baked if file] == [page]
    files = {file.path for file in client.list_artifacts(quick.run_id)}
    assert {"model_card.json", "model_card.md", "model_card.html"} <= files


def test_who_asks_again_gets_the_same_card_and_release(releasing: Settings) -> None:
    reports = ObjectStore(releasing.store).reports
    first = requests.request_release(releasing)
    page = reports.get(f"cards/{first.model_id}.html")
    # killed after the card and before the row was there; meanwhile another model has served
    with transaction(releasing.database) as connection:
        repository.fail(connection, first, "killed")
    served(releasing, f"{releasing.mlflow.model_name}-v9")
    reports.delete(f"cards/{first.model_id}.html")

    again = requests.request_release(releasing)

    assert reports.get(f"cards/{first.model_id}.html") == page
    assert (again.bento_uri, again.bento_sha256) == (first.bento_uri, first.bento_sha256)


def test_no_release_is_asked_for_if_its_card_cannot_be_written(releasing: Settings) -> None:
    reports, key = ObjectStore(releasing.store).reports, f"cards/{releasing.mlflow.model_name}-v1.json"
    reports.put(key, b"{}")
    with pytest.raises(IntegrityError, match="model card is damaged"):
        requests.request_release(releasing)
    assert requests.history(releasing.database) == []
    reports.delete(key)
    assert requests.request_release(releasing).state == "requested"


def test_a_model_that_was_trained_without_figures_is_released_without_a_card(
    releasing: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracking, "CARD_FIGURES", "of-no-training.json")
    messages: list[str] = []

    release = requests.request_release(releasing, progress=lambda message, *_: messages.append(message))

    assert release.state != LIVE
    assert any("has no model card" in message for message in messages)
    with pytest.raises(SourceError):
        stored_pages.card(ObjectStore(releasing.store).reports, release.model_id)


def test_only_a_model_id_names_a_card(releasing: Settings) -> None:
    with pytest.raises(DataError, match="is not a model id"):
        stored_pages.card(ObjectStore(releasing.store).reports, "../monitoring/2010-05/x")
