"""The page `Deposit` with made rows, served as Airflow's plugin serves it, and a frame as Airflow puts it into."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import sin

from deposit.events import TimelineEntry
from deposit.model.worth import Worth
from deposit.monitoring.earnings import MonthWorth
from deposit.monitoring.status import PeriodAssessment, PeriodStatus
from deposit.overview.contenders import Contender, Contenders, MonthlyEstimate
from deposit.overview.markup import ASSETS, POLICY, page
from deposit.overview.monthly import Figure, ModelAge, by_registered_model
from deposit.overview.snapshot import Backlog, Recorded, Snapshot
from deposit.overview.triggers import triggers_for
from deposit.registry.tags import GateOutcome
from deposit.release.repository import Release

NOW = datetime(2010, 11, 30, 4, 30, tzinfo=UTC)
LIVE = Release(7, "release", "deposit-v7", "better", "t", "u", "0" * 64, "live", "", "process", None, NOW, NOW)
BEFORE = Release(6, "release", "deposit-v6", "better", "t", "u", "0" * 64, "retired", "", "process", None, NOW, NOW)
COLUMNS = ("age", "job", "euribor3m", "nr.employed", "emp.var.rate", "contact", "month", "poutcome", "score")
LINKS = {"Whom to call": "http://127.0.0.1:8000", "Experiments (MLflow)": "http://127.0.0.1:5000"}
WORTH = Worth(3467, 2900, 4100, 3300, 1200, -300, 9906, rates=3075)
_TYPES = {".css": "text/css", ".js": "text/javascript"}
_SANDBOX = "allow-scripts allow-same-origin allow-forms allow-downloads"
_FRAME = f'<!doctype html><html lang="en"><title>Airflow</title><iframe src="/deposit/" sandbox="{_SANDBOX}"></iframe>'
"""As Airflow 3.3 puts a view of a plugin into its page."""


def figures(name: str, months: Sequence[str]) -> list[Figure]:
    """Rows of `metrics`, wavy, with another model every fifth month."""
    rows = []
    for place, period in enumerate(months):
        model_id, wave = f"{name}-v{1 + place // 5}", sin(place)
        values = {
            "rows": 900.0, "outcomes_known_share": 0.9, "rate": 0.2 + 0.1 * wave, "mean_probability": 0.19,
            "roc_auc": 0.67 + 0.03 * wave, "roc_auc_low": 0.62 + 0.03 * wave, "roc_auc_high": 0.72 + 0.03 * wave,
            "profit": 300 + 200 * wave, "profit_low": 150 + 200 * wave, "profit_high": 450 + 200 * wave,
            "profit_call_everyone": 40 - 300 * wave,
        }  # fmt: skip
        rows += [Figure(period, model_id, key, "", value) for key, value in values.items()]
        for rank, column in enumerate(COLUMNS):
            psi = abs(wave) * rank * rank / 20
            rows += [Figure(period, model_id, "psi", column, psi)]
            rows += [Figure(period, model_id, "moved", column, float(psi > 0.2))]
    return rows


def snapshot() -> Snapshot:
    """Everything there is to see: production's months, a replay's, a model that is stale, a shipper that is late."""
    production = [f"{year}-{month:02d}" for year in (2009, 2010) for month in range(1, 13)][:23]
    rows = [*figures("deposit", production), *figures("replay", production[:9])]
    states = list(PeriodStatus)
    verdicts = [
        PeriodAssessment(period, "deposit-v7", states[n % 4], "ROC AUC 0.61 is below 0.67 less 0.04", 900, NOW, True)
        for n, period in enumerate(reversed(production[-8:]))
    ]
    steps = [
        TimelineEntry(NOW, "release", "deposit-v7", "live", NOW, "it won by log loss", "", "process", 7),
        TimelineEntry(NOW, "failure", "", "noted", NOW, "deposit_train failed in its task train", "", "", None),
        TimelineEntry(NOW, "release", "replay-v2", "retired", NOW, "replayed", "", "process", 5),
    ]
    worths = [MonthWorth(each, "deposit-v7", WORTH) for each in reversed(production[-4:])]
    backlog = Backlog(NOW - timedelta(seconds=9), 1250, 640.0, 3)
    recorded = Recorded(
        LIVE, BEFORE, None, ModelAge(4, 3, 6), steps, verdicts, worths, by_registered_model(rows, None), backlog
    )
    auc = MonthlyEstimate(0.668, 0.635, 0.704)
    champion = Contender("deposit-v7", GateOutcome.PASSED, "deposit-v7 becomes champion: it won", (WORTH,), auc)
    return Snapshot("deposit", Contenders(champion, (Contender("deposit-v8", GateOutcome.REFUSED), champion)), recorded)


def html(allowed: bool = True) -> str:
    """The page for somebody who may start runs, or for somebody who may not."""
    seen = snapshot()
    return page(seen, triggers_for(seen) if allowed else [], LINKS, NOW)


@contextmanager
def served_page() -> Iterator[str]:
    """Its server's URL: the page at /deposit/ and, without rights, at /viewer/; in a frame at /."""
    answers = {
        "/deposit/": (html(), "text/html"),
        "/viewer/": (html(allowed=False), "text/html"),
        "/": (_FRAME, "text/html"),
        "/dags/deposit_train/runs/r1": ("<title>the run</title>", "text/html"),
    }
    for name, path in ASSETS.items():
        for folder in ("deposit", "viewer"):
            answers[f"/{folder}/assets/{name}"] = (path.read_text(), _TYPES[path.suffix])

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            text, kind = answers.get(self.path, ("", ""))
            self.send_response(200 if kind else 404)
            self.send_header("Content-Type", f"{kind or 'text/plain'}; charset=utf-8")
            if self.path in ("/deposit/", "/viewer/"):
                self.send_header("Content-Security-Policy", POLICY)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            """Nothing: the test's own output stays readable."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
