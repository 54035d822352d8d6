"""Which months of a dataset are learned from after the models were sent broken data, with PostgreSQL and S3."""

import pandas as pd
import pytest
from learning import published

from deposit.database import transaction
from deposit.loop import trusted_rows
from deposit.monitoring import metric_rows
from deposit.monitoring.metric_rows import MetricRow
from deposit.monitoring.status import MIN_FAULTY_PREDICTIONS, PeriodStatus
from deposit.settings import Settings

pytestmark = pytest.mark.servers

GOOD, BROKEN, SMALL = "2010-03", "2010-05", "2010-04"


@pytest.fixture
def version(servers: Settings, history: pd.DataFrame) -> str:
    """A dataset, one month of which is broken, and the assessments of three months."""
    rows = history[history["period"] >= "2009-09"].reset_index(drop=True)
    rows["job"] = rows["job"].mask(rows["period"] == BROKEN, "unknown")
    for period in (GOOD, BROKEN, SMALL, "2031-01"):
        values = {"rows": MIN_FAULTY_PREDICTIONS, "verdict": PeriodStatus.DATA_QUALITY_FAILURE}
        with transaction(servers.database) as connection:
            metrics = [MetricRow("deposit-v1", name, float(value)) for name, value in values.items()]
            metric_rows.replace(connection, period, "deposit", metrics)
    return published(servers, rows)


def test_a_month_is_left_out_unless_its_ingested_rows_are_good(servers: Settings, version: str) -> None:
    messages: list[str] = []
    trusted = trusted_rows(servers, None, lambda message, *_: messages.append(message))
    assert trusted == (version, [SMALL, BROKEN])
    good, small, broken = messages
    assert small.startswith(f"{SMALL}: ")
    assert small.endswith("too few to clear it: it is excluded")
    assert good.startswith(f"{GOOD}: ")
    assert good.endswith("pass the same checks, so it is used for training")
    assert broken == (
        f"{BROKEN}: the data sent to the models was broken, and so are its ingested rows (job): it is excluded"
    )


def test_the_setting_takes_every_month(servers: Settings, version: str) -> None:
    messages: list[str] = []
    settings = servers.changed("train", with_faults=True)
    assert trusted_rows(settings, version, lambda message, *_: messages.append(message)) == (version, [])
    assert messages == []
