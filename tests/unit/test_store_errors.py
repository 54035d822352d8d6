"""What S3 refuses, as it comes over the wire, is a sentence that names the setting to correct."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from deposit.errors import ConfigError, DepositError, SourceError, UpstreamError
from deposit.sections import StoreSettings
from deposit.store import Bucket, ObjectStore

ANSWER = '<?xml version="1.0"?><Error><Code>{code}</Code><Message>in AWS\'s words</Message></Error>'


class Refusing(ThreadingHTTPServer):
    """Answers every request with one status and one code, as S3 writes them; keeps the headers of the last."""

    status, code = 403, "AccessDenied"
    headers: dict[str, str] = {}  # noqa: RUF012 - of one server of one test


class _Handler(BaseHTTPRequestHandler):
    server: Refusing

    def _answer(self) -> None:
        self.server.headers = {name.lower(): value for name, value in self.headers.items()}
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b"" if self.command == "HEAD" else ANSWER.format(code=self.server.code).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = _answer  # noqa: N815 - the names are the library's

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def server() -> Iterator[Refusing]:
    with Refusing(("127.0.0.1", 0), _Handler) as made:
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def aws(server: Refusing) -> Iterator[ObjectStore]:
    """The store without an endpoint, whose AWS is the server."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{server.server_port}")
        environment.setenv("AWS_ACCESS_KEY_ID", "of the role")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        yield ObjectStore(StoreSettings(region="eu-central-1"), retries=1)


REFUSED: list[tuple[int, str, type[DepositError], str]] = [
    (403, "InvalidAccessKeyId", UpstreamError, r"expired \(InvalidAccessKeyId\): renew the role's or AWS_PROFILE's"),
    (403, "SignatureDoesNotMatch", UpstreamError, r"or set DEPOSIT_STORE__ACCESS_KEY and DEPOSIT_STORE__SECRET_KEY$"),
    (400, "ExpiredToken", UpstreamError, r"\(ExpiredToken\): renew the role's"),
    (403, "AccessDenied", UpstreamError, r"access to deposit-data is denied.*correct DEPOSIT_STORE__DATA_BUCKET$"),
    (404, "NoSuchBucket", ConfigError, r"deposit-data does not exist: make it, or correct DEPOSIT_STORE__DATA_BUCKET$"),
    (400, "IllegalLocationConstraintException", ConfigError, r"correct DEPOSIT_STORE__REGION$"),
    (400, "KMS.NotFoundException", UpstreamError, r"correct DEPOSIT_STORE__KMS_KEY$"),
    (403, "RequestTimeTooSkewed", UpstreamError, r"clock is wrong"),
    (404, "NoSuchKey", SourceError, r"there is no such object$"),
    (400, "EntityTooLarge", UpstreamError, r"EntityTooLarge.*in AWS's words"),
]
ACTIONS: dict[str, Callable[[Bucket, Path], object]] = {
    "read": lambda bucket, _: bucket.get("key"),
    "write": lambda bucket, _: bucket.put("key", b"x"),
    "upload": lambda bucket, path: bucket.upload(path, "key"),
    "list": lambda bucket, _: bucket.keys(),
}


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize(("status", "code", "kind", "sentence"), REFUSED, ids=[code for _, code, *_ in REFUSED])
def test_what_aws_refuses_names_the_setting_and_no_command_of_a_stack(
    status: int, code: str, kind: type[DepositError], sentence: str, action: str,
    aws: ObjectStore, server: Refusing, tmp_path: Path,
) -> None:  # fmt: skip
    server.status, server.code = status, code
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(kind, match=sentence) as refused:
        ACTIONS[action](aws.data, tmp_path / "file")
    assert str(refused.value).startswith("cannot ")
    assert "AWS S3 (eu-central-1)" in str(refused.value)
    assert [part for part in ("deposit up", "make up", "\n") if part in str(refused.value)] == []


def test_keys_of_a_setting_are_those_to_correct(server: Refusing) -> None:
    settings = StoreSettings(endpoint_url=f"http://127.0.0.1:{server.server_port}", access_key="a", secret_key="b")
    server.status, server.code = 403, "InvalidAccessKeyId"
    with pytest.raises(UpstreamError, match=r"correct DEPOSIT_STORE__ACCESS_KEY and DEPOSIT_STORE__SECRET_KEY$"):
        ObjectStore(settings, retries=1).data.get("key")


@pytest.mark.parametrize("action", ["write", "upload"])
@pytest.mark.parametrize(("status", "code"), [(500, "InternalError"), (507, "XMinioStorageFull"), (507, "507")])
def test_a_failed_write_to_an_own_store_names_the_disk_as_the_likely_cause(
    status: int, code: str, action: str, server: Refusing, tmp_path: Path
) -> None:
    settings = StoreSettings(endpoint_url=f"http://127.0.0.1:{server.server_port}", access_key="a", secret_key="b")
    server.status, server.code = status, code
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(UpstreamError, match=rf"\({code}\): its disk is probably full, so free some space there"):
        ACTIONS[action](ObjectStore(settings, retries=1).data, tmp_path / "file")
    with pytest.raises(UpstreamError) as failed:
        ObjectStore(settings, retries=1).data.get("key")
    assert ("disk" in str(failed.value)) == (status == 507)


@pytest.mark.parametrize("action", ["write", "upload"])
def test_a_failed_write_to_aws_says_to_try_again(
    action: str, aws: ObjectStore, server: Refusing, tmp_path: Path
) -> None:
    server.status, server.code = 500, "InternalError"
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(UpstreamError, match=r"\(InternalError\): try again in a moment$"):
        ACTIONS[action](aws.data, tmp_path / "file")


@pytest.mark.parametrize(("code", "status"), [("BucketAlreadyExists", 409), ("AccessDenied", 403)])
def test_a_bucket_of_another_account_is_one_sentence(
    code: str, status: int, aws: ObjectStore, server: Refusing, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.code, server.status = code, status
    monkeypatch.setattr(Bucket, "is_there", lambda _: False)  # of two that make it at once, the other was faster
    with pytest.raises(DepositError, match=r"another account.*DEPOSIT_STORE__DATA_BUCKET"):
        aws.ensure_buckets()


def test_without_credentials_it_says_what_to_give(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr("boto3.DEFAULT_SESSION", None)
    with pytest.raises(UpstreamError, match=r"\(NoCredentialsError\): renew the role's or AWS_PROFILE's"):
        ObjectStore(StoreSettings()).data.get("key")
    monkeypatch.setenv("AWS_PROFILE", "bank")
    monkeypatch.setattr("boto3.DEFAULT_SESSION", None)
    with pytest.raises(UpstreamError, match=r"cannot connect on AWS S3.*\(ProfileNotFound\).*AWS_PROFILE"):
        ObjectStore(StoreSettings())


def test_aws_that_cannot_be_reached_is_not_started_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    with pytest.raises(UpstreamError, match=r"see that this machine reaches AWS, or correct DEPOSIT_STORE__REGION$"):
        ObjectStore(StoreSettings(), retries=1).data.get("key")


@pytest.mark.parametrize("action", ["write", "upload"])
def test_with_a_kms_key_each_write_names_it(action: str, server: Refusing, aws: ObjectStore, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    keyed = ObjectStore(aws.settings.model_copy(update={"kms_key": "alias/deposit"}), retries=1)
    for store, expected in ((keyed, "alias/deposit"), (aws, None)):
        with pytest.raises(UpstreamError):
            ACTIONS[action](store.data, tmp_path / "file")
        assert server.headers.get("x-amz-server-side-encryption-aws-kms-key-id") == expected
    with pytest.raises(UpstreamError):
        keyed.data.put_if_absent("key", b"x")
    assert server.headers["x-amz-server-side-encryption"] == "aws:kms"


@pytest.mark.parametrize(("region", "place"), [("us-east-1", False), ("eu-central-1", True)])
def test_a_bucket_outside_aws_home_region_is_made_in_its_own(
    region: str, place: bool, aws: ObjectStore, server: Refusing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Bucket, "is_there", lambda _: False)
    with pytest.raises(UpstreamError):
        ObjectStore(StoreSettings(region=region), retries=1).ensure_buckets()
    assert (int(server.headers.get("content-length", 0)) > 0) == place
