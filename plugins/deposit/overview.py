"""The overview: the champion from MLflow, the timeline and verdicts from PostgreSQL, reports from the store."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape

import httpx

from deposit import events
from deposit.data.period import parse_period
from deposit.database import transaction
from deposit.errors import DataError
from deposit.events import TimelineEntry
from deposit.model.worth import describe_worth, sum_of
from deposit.monitoring import status
from deposit.monitoring.earnings import MonthWorth, latest_worths
from deposit.monitoring.status import PeriodAssessment
from deposit.registry.tags import Tag
from deposit.release import repository
from deposit.release.repository import Release
from deposit.selection.decision import champion_reason, parse_decision
from deposit.settings import Settings
from deposit.store import ObjectStore

_STEPS, _VERDICTS, _MONTHS = 20, 36, 12
_SECONDS = 5
_MODEL_ID = re.compile(r"\w[\w.-]{0,99}-v[1-9]\d{0,8}", re.ASCII)


@dataclass(frozen=True)
class Champion:
    """The model that MLflow calls champion, and why it is; `error` if MLflow could not be asked."""

    model_id: str | None
    reason: str = ""
    error: str = ""


@dataclass(frozen=True)
class Overview:
    """Steps of the loop, verdicts and what months earned, the newest first."""

    champion: Champion
    live: Release | None
    timeline: Sequence[TimelineEntry]
    verdicts: Sequence[PeriodAssessment]
    worths: Sequence[MonthWorth] = ()


def load_overview(settings: Settings) -> Overview:
    """What there is to see now. Raises UpstreamError if PostgreSQL does not answer."""
    with transaction(settings.database) as connection:
        live, steps = repository.live(connection), events.timeline(connection, _STEPS)
        verdicts = status.latest_assessments(connection, _VERDICTS)
        worths = latest_worths(connection, settings.economics.capacity, _MONTHS)
    return Overview(champion_of(settings), live, steps, verdicts, worths)


def champion_of(settings: Settings) -> Champion:
    """The champion; over MLflow's REST API, since its client is too large for this one question."""
    name = settings.mlflow.model_name
    url = f"{settings.mlflow.tracking_uri}/api/2.0/mlflow/registered-models/alias"
    try:
        answer = httpx.get(url, params={"name": name, "alias": "champion"}, timeout=_SECONDS, trust_env=False)
        if answer.status_code in (httpx.codes.NOT_FOUND, httpx.codes.BAD_REQUEST) and "error_code" in answer.json():
            return Champion(None)
        answer.raise_for_status()
        version = answer.json()["model_version"]
    except (httpx.HTTPError, ValueError, KeyError) as error:
        return Champion(None, error=f"MLflow does not tell of the champion: {error}")
    tags = {tag["key"]: tag["value"] for tag in version.get("tags", ())}
    model_id = f"{name}-v{version['version']}"
    return Champion(model_id, champion_reason(model_id, parse_decision(tags.get(Tag.DECISION))))


def report(settings: Settings, period: str, model_id: str) -> bytes:
    """The HTML of a report. Raises DataError for what can be no report, SourceError or UpstreamError."""
    key = status.report_key(parse_period(period).name, _checked_id(settings, model_id))
    return ObjectStore(settings.store).reports.get(key)


def card(settings: Settings, model_id: str) -> bytes:
    """The HTML of a released model's card. Raises DataError for no model id, SourceError or UpstreamError."""
    return ObjectStore(settings.store).reports.get(repository.card_key(_checked_id(settings, model_id), "html"))


def _checked_id(settings: Settings, model_id: str) -> str:
    if not _MODEL_ID.fullmatch(model_id):
        raise DataError(f"{model_id!r} is no model id: it must look like {settings.mlflow.model_name}-v7")
    return model_id


POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'"
"""Content-Security-Policy of the page."""
CARD_POLICY = f"{POLICY}; sandbox"
"""Of a model card, which runs no script."""
REPORT_POLICY = "sandbox allow-scripts; frame-ancestors 'self'"
"""Of a report: its scripts run, but as nobody's, so that what they were made of cannot act for who reads it."""
_STYLE = """
:root{color-scheme:light dark}body{font:15px/1.5 system-ui,sans-serif;margin:1.5rem;max-width:80rem}
h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}p{max-width:60rem}
table{border-collapse:collapse;width:100%}th,td{border-bottom:1px solid #8884;padding:.35rem .6rem;text-align:left;
vertical-align:top}th,td:nth-child(-n+4){white-space:nowrap}
.scroll{overflow-x:auto}.k{display:inline-block;border-radius:.3rem;padding:0 .5rem;color:#fff;white-space:nowrap}
.k0{background:#1d6b45}.k1{background:#1f5fa8}.k2{background:#9a5500}.k3{background:#b3261e}
"""


def page(overview: Overview) -> str:
    """The whole page."""
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Deposit</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style><h1>Deposit</h1>'
        f"{_now(overview)}<h2>What choosing whom to call was worth</h2>{_worth(overview.worths)}"
        f"<h2>Verdicts on the last periods</h2>{_verdicts(overview.verdicts)}"
        f"<h2>Releases, and what the loop has done</h2>{_steps(overview.timeline)}</html>"
    )


def _now(overview: Overview) -> str:
    live = overview.live
    serves = f"{escape(live.model_id)} serves since {_moment(live.updated_at)}." if live else "No model serves."
    card = f' <a href="cards/{escape(live.model_id)}">Model card</a>' if live else ""
    return f"<p><strong>{serves}</strong>{card}</p><p>{escape(_champion(overview.champion, live))}</p>"


def _champion(champion: Champion, live: Release | None) -> str:
    if champion.error:
        return champion.error
    if champion.model_id is None:
        return "There is no champion yet: trigger deposit_ingest; what follows runs by itself."
    behind = "" if live and live.model_id == champion.model_id else " It does not serve: trigger deposit_release."
    return f"The champion is {champion.model_id}.{behind} Why: {champion.reason}."


def _worth(worths: Sequence[MonthWorth]) -> str:
    if not worths:
        return "<p>Not known yet: deposit_monitor computes it of months with at least 200 known outcomes.</p>"
    together = sum_of([each.worth for each in worths])
    limit = "" if together.capacity is None else f", with at most {together.capacity:,.0f} calls a month"
    sentence = f"From {worths[-1].period} to {worths[0].period}{limit}, {describe_worth(together)}."
    return f"<p>{escape(sentence)}</p>" + _table(
        ("Month", "Model", "Chosen", "95 %", "Promised", "As many at random", "Everyone", "Nobody", "Oracle"),
        (
            (
                escape(each.period),
                escape(each.model_id),
                f"{each.worth.profit:,.0f}",
                f"{each.worth.low:,.0f} to {each.worth.high:,.0f}",
                *(f"{value:,.0f}" for value in (each.worth.expected, each.worth.random, each.worth.everyone)),
                "0",
                f"{each.worth.oracle:,.0f}",
            )
            for each in worths
        ),
    )


def _verdicts(verdicts: Sequence[PeriodAssessment]) -> str:
    if not verdicts:
        return "<p>None yet: deposit_monitor makes them every night, and when it is triggered.</p>"
    return _table(
        ("Period", "Model", "Verdict", "Predictions", "Why", "Report"),
        (
            (
                escape(each.period),
                escape(each.model_id),
                f'<span class="k k{each.status.value}">{each.status.title}</span>',
                f"{each.rows:,}",
                escape(each.reason),
                f'<a href="reports/{escape(each.period)}/{escape(each.model_id)}">open</a>' if each.reported else "",
            )
            for each in verdicts
        ),
    )


def _steps(steps: Sequence[TimelineEntry]) -> str:
    if not steps:
        return "<p>None yet.</p>"
    return _table(
        ("Release", "What", "Model", "State", "Changed", "Why"),
        (
            (
                str(each.release_id or ""),
                escape(each.kind),
                escape(each.model_id),
                escape(each.state),
                _moment(each.updated_at),
                escape("; ".join(text for text in (each.why, each.reason) if text)),
            )
            for each in steps
        ),
    )


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    names = "".join(f"<th>{name}</th>" for name in head)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{names}</tr></thead><tbody>{body}</tbody></table></div>'


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
