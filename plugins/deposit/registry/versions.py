"""Registered versions, their ids `<name>-v<version>` and the champion, read from MLflow's REST API."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

import msgspec

from deposit.errors import DataError, GateError
from deposit.registry.mlflow_api import FAILURES, Pair, ask, by_key, outage
from deposit.registry.tags import Tag
from deposit.settings import Settings

CHAMPION, PREVIOUS = "champion", "previous"
_PAGE = 1000
_OURS = {Tag.DATASET, Tag.METRICS, Tag.MODEL_SHA256}


@dataclass(frozen=True)
class Version:
    """A registered version; `created` is in UTC and ISO format, `metrics` are over its scored months, without NaN."""

    model_id: str
    version: int
    run_id: str
    created: str
    dataset: str
    metrics: Mapping[str, float]
    aliases: tuple[str, ...]


class RegisteredVersions:
    """Versions of the registered model in the settings. Every method raises UpstreamError if MLflow does not answer."""

    def __init__(self, settings: Settings) -> None:
        self.name = settings.mlflow.model_name
        self._settings = settings

    def champion(self) -> Version | None:
        """The version with the alias `champion`; None if there never was a champion, or if there are no versions.

        Raises GateError if the alias or its version was deleted: a person must then choose the champion.
        """
        versions = self.versions()
        champion = _champion_of(versions)
        if champion is None and versions:
            self._refuse_vacancy(versions)
        return champion

    def alias_holder(self) -> Version | None:
        """The version that currently has the alias `champion`, if any."""
        return _champion_of(self.versions())

    def versions(self) -> list[Version]:
        """All registered versions, oldest first; empty if no model was registered."""
        model = self._registered_model()
        if model is None:
            return []
        listed: list[_ModelVersion] = []
        query = {"filter": f"name = '{self.name}'", "max_results": str(_PAGE)}
        token = ""
        while True:
            page = self._ask("model-versions/search", {**query, "page_token": token} if token else query, _Page)
            listed += page.model_versions if page else []
            token = page.next_page_token if page else ""
            if not token:
                break
        # versions that were registered by other means have no digest to verify: they are ignored
        ours = [each for each in listed if by_key(each.tags).keys() >= _OURS]
        return [_version_of(self.name, each, model) for each in sorted(ours, key=lambda each: each.version)]

    def by_id(self, model_id: str) -> Version:
        """The version with a model id such as `deposit-v7`. Raises DataError if there is none."""
        match = re.fullmatch(rf"{re.escape(self.name)}-v([1-9]\d{{0,8}})", model_id)
        if match is None:
            raise DataError(f"{model_id!r} is not a model id: it must look like {self.name}-v7")
        number = int(match.group(1))
        version = next((version for version in self.versions() if version.version == number), None)
        if version is None:
            raise DataError(f"there is no model {model_id}: `deposit models` lists what there is")
        return version

    def recorded_model(self, version: Version) -> tuple[str, str]:
        """MLflow's URI of a version's model, and the sha256 of its model.json. Raises DataError if it was deleted."""
        query = {"name": self.name, "version": str(version.version)}
        response = self._ask("model-versions/get", query, _ModelVersionResponse)
        if response is None:
            raise DataError(f"there is no model {version.model_id}: `deposit models` lists what there is")
        model = response.model_version
        return model.source, by_key(model.tags)[Tag.MODEL_SHA256]

    def _refuse_vacancy(self, versions: Sequence[Version]) -> None:
        """Raise GateError if there was a champion before."""
        model = self._registered_model()
        last = by_key(model.tags).get(Tag.CHAMPION) if model else None
        if last is None:
            return
        if any(version.model_id == last for version in versions):
            raise GateError(
                f"there is no champion any more: the alias of {last} was deleted in MLflow; `deposit promote {last}` "
                "restores it, and `deposit models` lists the models to promote instead"
            )
        raise GateError(
            f"there is no champion any more: {last} was deleted in MLflow; promote one of those that `deposit models` "
            f"lists, for example the newest: `deposit promote {versions[-1].model_id}`"
        )

    def _registered_model(self) -> "_RegisteredModel | None":
        response = self._ask("registered-models/get", {"name": self.name}, _RegisteredModelResponse)
        return response.registered_model if response else None

    def _ask(self, path: str, query: Mapping[str, str], kind: "type[_Response]") -> "_Response | None":
        """Decoded response of MLflow; None if the requested entity does not exist."""
        uri = self._settings.mlflow.tracking_uri
        try:
            return ask(uri, path, query, kind)
        except FAILURES as error:
            raise outage(uri, error) from error


class _Alias(msgspec.Struct, frozen=True):
    alias: str
    version: int


class _RegisteredModel(msgspec.Struct, frozen=True):
    aliases: tuple[_Alias, ...] = ()
    tags: tuple[Pair, ...] = ()


class _RegisteredModelResponse(msgspec.Struct, frozen=True):
    registered_model: _RegisteredModel


class _ModelVersion(msgspec.Struct, frozen=True):
    version: int
    creation_timestamp: int
    run_id: str = ""
    source: str = ""
    tags: tuple[Pair, ...] = ()


class _ModelVersionResponse(msgspec.Struct, frozen=True):
    model_version: _ModelVersion


class _Page(msgspec.Struct, frozen=True):
    model_versions: tuple[_ModelVersion, ...] = ()
    next_page_token: str = ""


_Response = TypeVar("_Response", _RegisteredModelResponse, _ModelVersionResponse, _Page)


def _champion_of(versions: Sequence[Version]) -> Version | None:
    return next((version for version in versions if CHAMPION in version.aliases), None)


def _version_of(name: str, each: _ModelVersion, model: _RegisteredModel) -> Version:
    tags = by_key(each.tags)
    created = datetime.fromtimestamp(each.creation_timestamp / 1000, UTC)
    return Version(
        model_id=f"{name}-v{each.version}",
        version=each.version,
        run_id=each.run_id,
        created=created.isoformat(timespec="seconds"),
        dataset=tags[Tag.DATASET],
        metrics=json.loads(tags[Tag.METRICS]),
        aliases=tuple(sorted(alias.alias for alias in model.aliases if alias.version == each.version)),
    )
