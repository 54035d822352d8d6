import logging
from pathlib import Path
from typing import Any

import pytest

from deposit.errors import ConfigError, IntegrityError, UpstreamError
from deposit.sections import ServeSettings, StoreSettings
from serving.documents import (
    Document,
    FileDocument,
    ObjectDocument,
    Reloading,
    SecretDocument,
    catalog_document,
    keys_document,
)

SECRET = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:deposit/api/keys-AbCdEf"


class Given(Document):
    """A document that a test holds; None is away."""

    def __init__(self, content: bytes | None) -> None:
        super().__init__("the document", 60.0)
        self.content = content
        self.looks = 0

    def read(self, seen: Any) -> tuple[Any, bytes] | None:
        self.looks += 1
        if self.content is None:
            raise UpstreamError("cannot read the document (AccessDenied)")
        return None if self.content == seen else (self.content, self.content)


def _number(content: bytes) -> int:
    try:
        return int(content)
    except ValueError as error:
        raise IntegrityError("is no number") from error


def test_a_document_is_looked_at_once_an_interval_and_what_was_good_stays() -> None:
    now, messages = [0.0], []
    document = Given(b"1")
    reloading = Reloading(document, _number, messages.append, lambda: now[0])
    assert [reloading.value(), reloading.value(), document.looks] == [1, 1, 1]
    for later, content, value, valid in (
        (59.9, b"2", 1, True),
        (60.0, b"2", 2, True),
        (120.0, b"x", 2, False),
        (180.0, b"x", 2, False),
        (240.0, None, 2, False),
        (300.0, b"3", 3, True),
    ):
        now[0], document.content = later, content
        assert (reloading.value(), reloading.is_valid) == (value, valid), later
    assert messages == ["the document: is no number", "cannot read the document (AccessDenied)"]


def test_places_are_chosen_by_the_settings(tmp_path: Path) -> None:
    assert keys_document(ServeSettings()) is None
    assert isinstance(keys_document(ServeSettings(keys_file=tmp_path)), FileDocument)
    assert isinstance(keys_document(ServeSettings(keys_secret_id=SECRET)), SecretDocument)
    with pytest.raises(ConfigError, match="both set"):
        keys_document(ServeSettings(keys_file=tmp_path, keys_secret_id=SECRET))
    assert isinstance(catalog_document(ServeSettings(), StoreSettings(), tmp_path), FileDocument)
    assert isinstance(
        catalog_document(ServeSettings(catalog_uri="s3://bentos/catalog.json"), StoreSettings(), tmp_path),
        ObjectDocument,
    )


def test_a_secret_that_cannot_be_read_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with pytest.raises(UpstreamError, match=rf"DEPOSIT_SERVE__KEYS_SECRET_ID: the secret {SECRET} cannot be read"):
        SecretDocument(SECRET).read(None)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read .*/none: No such file"):
        FileDocument(tmp_path / "none").read(None)


def test_an_object_needs_a_store_that_answers() -> None:
    store = StoreSettings(endpoint_url="http://127.0.0.1:1", access_key="a", secret_key="b")  # type: ignore[arg-type]
    with pytest.raises(UpstreamError, match="does not answer"):
        ObjectDocument("s3://bentos/catalog.json", store).read(None)


def test_a_missing_catalog_is_reported_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    reloading = Reloading(
        FileDocument(tmp_path / "none"), _number, logging.getLogger("deposit").warning, lambda: now[0]
    )
    with caplog.at_level(logging.WARNING):
        for second in range(3):
            now[0] = float(second)
            assert reloading.value() is None
    assert len(caplog.records) == 1
