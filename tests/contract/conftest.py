from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deposit.log.spool import Spool
from deposit.settings import Settings
from serving.access import Access
from serving.application import Application, routes
from serving.models import LoadedModel, ModelCache
from serving.request_counts import Metrics


@pytest.fixture(scope="session")
def make_application() -> Iterator[Callable[[Settings, Path], Application]]:
    """The service's inside, wired as in a Bento, around the model in a folder."""
    spools = []

    def make(settings: Settings, folder: Path) -> Application:
        metrics = Metrics()
        application = Application(Access(settings.serve), metrics, settings.serve.request_timeout)
        spool = Spool.of(settings)
        spools.append(spool)
        application.routes = routes(
            settings, ModelCache(LoadedModel.open(folder, settings.expiry), settings), spool, metrics
        )
        return application

    yield make
    for spool in spools:
        spool.close()
