"""The catalog: a file that lists the registered models and the location of their files.

The releaser writes it and services read it. It needs neither MLflow nor a model library.
"""

from collections.abc import Mapping

import msgspec

from deposit.errors import IntegrityError


class Files(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Location of a model's files; `sha256` is the digest of model.json, which records the digests of the others."""

    bucket: str
    prefix: str
    sha256: str


class CatalogModel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A registered model; `created` is in UTC and ISO format, `metrics` are those of its scored months."""

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
    """Serialise a catalog to the content of the file."""
    return msgspec.json.format(msgspec.json.encode(catalog), indent=1) + b"\n"


def parse_catalog(content: bytes) -> Catalog:
    """Parse the content of a catalog file. Raises IntegrityError if it is damaged."""
    try:
        return msgspec.json.decode(content, type=Catalog)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise IntegrityError(f"the catalog of models is damaged ({error}): the releaser writes it again") from error
