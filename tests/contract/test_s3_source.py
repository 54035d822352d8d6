"""Source `s3`: the bank's file in a bucket, of which the newest is taken."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from simulated_aws.server import REGION, SimulatedAws

from deposit.data import sources
from deposit.errors import ConfigError, IntegrityError, SourceError, UpstreamError
from deposit.progress import log_progress
from deposit.sections import IngestSettings, StoreSettings
from deposit.store import ObjectStore

pytestmark = pytest.mark.servers
BUNDLED = sources.BUNDLED.read_bytes()


@pytest.fixture(scope="module")
def bank(simulated_aws: SimulatedAws) -> Iterator[Any]:
    client = simulated_aws.client("s3")
    client.create_bucket(Bucket="bank", CreateBucketConfiguration={"LocationConstraint": REGION})
    for key in ("calls/2026-01.csv.xz", "calls/2026-03.csv.xz", "other/2027.csv.xz"):
        client.put_object(Bucket="bank", Key=key, Body=BUNDLED)
    client.put_object(Bucket="bank", Key="calls/2026-02.csv.xz", Body=BUNDLED)
    with pytest.MonkeyPatch.context() as environment:
        for name, value in simulated_aws.environment.items():
            environment.setenv(name, value)
        yield client
    simulated_aws.reset()


def fetched(uri: str | None, folder: Path, **settings: Any) -> sources.Source:
    wanted = IngestSettings.model_validate({"source": "s3", "s3_uri": uri, **settings})
    return sources.fetch(wanted, folder, log_progress, ObjectStore(StoreSettings(region=REGION), retries=1))


@pytest.mark.parametrize(
    ("uri", "key"),
    [
        ("s3://bank/calls/2026-01.csv.xz", "calls/2026-01.csv.xz"),
        # written last, whatever its name
        ("s3://bank/calls/*.csv.xz", "calls/2026-02.csv.xz"),
        ("s3://bank/calls/", "calls/2026-02.csv.xz"),
        ("s3://bank/*/2027*", "other/2027.csv.xz"),
    ],
)
def test_the_object_or_the_newest_that_matches_is_read(uri: str, key: str, bank: Any, tmp_path: Path) -> None:
    _older(bank, "calls/2026-01.csv.xz", "calls/2026-03.csv.xz")
    source = fetched(uri, tmp_path, sha256=sources.ORIGINAL_SHA256)
    assert (source.name, source.sha256) == (f"s3://bank/{key}", sources.ORIGINAL_SHA256)
    assert source.path.read_bytes().startswith(b'"age";"job"')


def _older(bank: Any, *keys: str) -> None:
    """S3 knows seconds: what was written within one counts by its name; write what shall be newest again, later."""
    stamps = {each["Key"]: each["LastModified"] for each in bank.list_objects_v2(Bucket="bank")["Contents"]}
    newest = "calls/2026-02.csv.xz"
    while stamps[newest] <= max(stamps[key] for key in keys):
        bank.put_object(Bucket="bank", Key=newest, Body=BUNDLED)
        stamps[newest] = bank.head_object(Bucket="bank", Key=newest)["LastModified"]


def test_the_month_that_is_over_is_read(bank: Any, tmp_path: Path) -> None:
    month = (date(datetime.now(UTC).year, datetime.now(UTC).month, 1) - timedelta(days=1)).strftime("%Y-%m")
    bank.put_object(Bucket="bank", Key=f"month-{month}.csv.xz", Body=BUNDLED)
    assert fetched("s3://bank/month-{month}.csv.xz", tmp_path).name == f"s3://bank/month-{month}.csv.xz"


@pytest.mark.parametrize(
    ("uri", "settings", "kind", "sentence"),
    [
        (None, {}, ConfigError, "source `s3` needs DEPOSIT_INGEST__S3_URI"),
        ("s3://bank/none-*.csv", {}, SourceError, r"none-\*.csv does not exist yet: wait for the file, or correct"),
        ("s3://no-bank/x.csv", {}, ConfigError, "bucket no-bank does not exist.*correct DEPOSIT_INGEST__S3_URI"),
        ("s3://bank/calls/2026-01.csv.xz", {"sha256": "0" * 64}, IntegrityError, "sha256 of the CSV is"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(
    uri: str | None, settings: dict[str, str], kind: type[Exception], sentence: str, bank: Any, tmp_path: Path
) -> None:
    with pytest.raises(kind, match=sentence):
        fetched(uri, tmp_path, **settings)


def test_an_account_that_does_not_answer_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    with pytest.raises(UpstreamError, match="see that this machine reaches AWS"):
        fetched("s3://bank/calls/", tmp_path)
