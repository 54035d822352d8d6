"""The catalog: a file that tells a service which models are registered and where their files are.

The releaser writes it, services read it; it needs neither MLflow nor a model library.
"""

from collections.abc import Mapping

import msgspec

from deposit.errors import IntegrityError


class Files(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a model's files are; `sha256` is that of its model.json, which records those of the others."""

    bucket: str
    prefix: str
    sha256: str


class CatalogModel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A registered model; `created` in UTC and ISO form, `metrics` those of its own test window."""

    model_id: str
    version: int
    created: str
    dataset: str
    metrics: Mapping[str, float | None]
    aliases: tuple[str, ...]
    files: Files
    threshold: float | None = None


class Catalog(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All registered models, oldest first."""

    models: tuple[CatalogModel, ...] = ()


def encode_catalog(catalog: Catalog) -> bytes:
    """The file's content."""
    return msgspec.json.format(msgspec.json.encode(catalog), indent=1) + b"\n"


def parse_catalog(content: bytes) -> Catalog:
    """What `encode_catalog` gave. Raises IntegrityError for anything else."""
    try:
        return msgspec.json.decode(content, type=Catalog)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise IntegrityError(f"the catalog of models is damaged ({error}): the releaser makes it anew") from error
