"""The model card as one self-contained HTML page without scripts. Pure."""

from collections.abc import Sequence
from html import escape
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token

from deposit.training.card import ModelCard
from deposit.training.card_document import sections, title

_STYLE = """
:root{color-scheme:light dark;--ink:#1c2430;--soft:#5b6675;--line:#d7dce3;--paper:#fff;--a:#1f5fa8;--f:#b3261e}
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ee;--soft:#a3adbb;--line:#3a4350;--paper:#14181e;--a:#7db3f0;--f:#ff8a80}}
*{box-sizing:border-box}
body{font:16px/1.55 system-ui,sans-serif;color:var(--ink);background:var(--paper);margin:0 auto;padding:1rem;
max-width:72rem;overflow-wrap:anywhere}
h1{font-size:1.5rem;line-height:1.25}h2{font-size:1.2rem;margin-top:2.2rem}h3{font-size:1rem}
p,ul{max-width:46rem}ul{padding-left:1.2rem}code{font-size:.9em}
.scroll{overflow-x:auto;max-width:100%}.scroll:focus-visible{outline:2px solid var(--a)}
table{border-collapse:collapse;font-size:.88rem;font-variant-numeric:tabular-nums;overflow-wrap:normal}
th,td{border-bottom:1px solid var(--line);padding:.3rem .6rem;text-align:left;vertical-align:top}
th{color:var(--soft);font-weight:600}td.n{text-align:right;white-space:nowrap}th.n{text-align:right}
td.n strong{color:var(--f)}td:last-child:not(.n){min-width:14rem}
.charts{display:flex;flex-wrap:wrap;gap:1rem;align-items:flex-start}
figure{margin:1rem 0 0;flex:1 1 18rem;max-width:30rem}svg{width:100%;height:auto;display:block}
figcaption{font-size:.85rem;color:var(--soft)}
text{font-size:11px;fill:var(--soft)}polyline{fill:none;stroke-width:1.6}polyline.a{stroke:var(--a)}
polyline.b{stroke:var(--soft);stroke-dasharray:4 3}polyline.f{stroke:var(--f)}
polyline.g{stroke:var(--line);stroke-width:.6}
circle.a,rect.a{fill:var(--a)}circle.f{fill:var(--f)}
@media print{body{max-width:none}.scroll{overflow:visible}}
"""


def to_page(card: ModelCard) -> str:
    """The whole card as HTML."""
    markdown = _renderer()
    body = "".join(
        f"<section>{markdown.render(section.markdown)}"
        + (f'<div class="charts">{"".join(section.charts)}</div>' if section.charts else "")
        + "</section>"
        for section in sections(card)
    )
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" '
        f'content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">'
        f"<title>{escape(title(card))}</title><style>{_STYLE}</style></head><body><main>{body}</main></body></html>\n"
    )


def _renderer() -> MarkdownIt:
    """Markdown with tables and without HTML; cell alignment is a class, since a CSP may forbid inline styles."""
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    markdown.add_render_rule("table_open", lambda *_: '<div class="scroll" tabindex="0"><table>\n')
    markdown.add_render_rule("table_close", lambda *_: "</table></div>\n")
    for cell in ("th_open", "td_open"):
        markdown.add_render_rule(cell, _cell)
    return markdown


def _cell(renderer: RendererHTML, tokens: Sequence[Token], place: int, options: Any, env: Any) -> str:
    token = tokens[place]
    if token.attrs.pop("style", None) == "text-align:right":
        token.attrs["class"] = "n"
    return renderer.renderToken(tokens, place, options, env)
