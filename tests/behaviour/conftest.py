from pathlib import Path

import pandas as pd
import pytest

from deposit.data import ingest, periods, sources
from deposit.progress import log_progress
from deposit.settings import IngestSettings


@pytest.fixture(scope="session")
def history(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """The real rows as a dataset version holds them."""
    folder: Path = tmp_path_factory.mktemp("history")
    rows = ingest.check(sources.fetch(IngestSettings(), folder, log_progress), log_progress).good
    dated = rows.assign(period=periods.assign(rows["month"], 2008, 2026)).reset_index(drop=True)
    texts = {name: dated[name].astype("str") for name in dated if isinstance(dated[name].dtype, pd.CategoricalDtype)}
    return dated.assign(**texts)
