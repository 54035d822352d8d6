"""The overview as one page of HTML, without script. Pure."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from html import escape

from deposit.monitoring.verdicts import Found
from deposit.overview.facts import Champion, Overview
from deposit.release.rows import Release

POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'"
"""Content-Security-Policy of the page."""
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
        f"{_now(overview)}<h2>Verdicts on the last periods</h2>{_verdicts(overview.verdicts)}"
        f"<h2>Releases, and what the loop has done</h2>{_releases(overview.releases)}</html>"
    )


def _now(overview: Overview) -> str:
    live = overview.live
    serves = f"{escape(live.model_id)} serves since {_moment(live.updated_at)}." if live else "No model serves."
    return f"<p><strong>{serves}</strong></p><p>{escape(_told(overview.champion, live))}</p>"


def _told(champion: Champion, live: Release | None) -> str:
    if champion.error:
        return champion.error
    if champion.model_id is None:
        return "There is no champion yet: trigger deposit_ingest; what follows runs by itself."
    behind = "" if live and live.model_id == champion.model_id else " It does not serve: trigger deposit_release."
    return f"The champion is {champion.model_id}.{behind} Why: {champion.reason}."


def _verdicts(found: Sequence[Found]) -> str:
    if not found:
        return "<p>None yet: deposit_monitor makes them every night, and when it is triggered.</p>"
    return _table(
        ("Period", "Model", "Verdict", "Predictions", "Why", "Report"),
        (
            (
                escape(each.period),
                escape(each.model_id),
                f'<span class="k k{each.kind.value}">{each.kind.title}</span>',
                f"{each.rows:,}",
                escape(each.sentence),
                f'<a href="reports/{escape(each.period)}/{escape(each.model_id)}">open</a>' if each.reported else "",
            )
            for each in found
        ),
    )


def _releases(releases: Sequence[Release]) -> str:
    if not releases:
        return "<p>None yet.</p>"
    return _table(
        ("Number", "What", "Model", "State", "Changed", "Why"),
        (
            (
                str(each.id),
                escape(each.kind),
                escape(each.model_id),
                escape(each.state),
                _moment(each.updated_at),
                escape("; ".join(part for part in (each.why, each.reason) if part)),
            )
            for each in releases
        ),
    )


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    names = "".join(f"<th>{name}</th>" for name in head)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{names}</tr></thead><tbody>{body}</tbody></table></div>'


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
