"""The page at `/`, the API's at `/docs`, what they need, and the model card: files with strict headers."""

import gzip
import hashlib
from base64 import b64encode
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

from serving.http import Answer, Handler, Request
from serving.models import LoadedModel
from serving.problems import http_error

_PATHS = {"index.html": "/", "docs.html": "/docs"}
_STATIC = Path(__file__).parent / "static"
_TYPES = {
    ".html": b"text/html; charset=utf-8",
    ".css": b"text/css; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".csv": b"text/csv; charset=utf-8",
}
_POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self' %s; connect-src 'self'; img-src 'self' data:; "
    b"form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
"""Of the page, which opens the card in a tab of its own: what it opens has the same policy, so it names its style."""
_CARD_POLICY = b"default-src 'none'; style-src %s; form-action 'none'; base-uri 'none'; frame-ancestors 'none'; sandbox"
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    # looked at again each time, so that a release brings its own page; the tag makes that cheap
    (b"cache-control", b"no-cache"),
    (b"vary", b"accept-encoding"),
)


def pages(card: bytes | None) -> Mapping[str, Handler]:
    """Handlers by path: `/`, `/docs`, `/assets/<name>` for each other file; `card` is the one that `/card` shows."""
    policy = _POLICY % (_style_source(card) if card else b"")
    files = [path for path in sorted(_STATIC.rglob("*")) if path.suffix in _TYPES]
    return {
        _PATHS.get(path.name, f"/assets/{path.name}"): _shown(path.read_bytes, _TYPES[path.suffix], policy)
        for path in files
    }


def card_page(model: LoadedModel) -> Handler:
    """The handler of a model's card, whose answer is 404 if it has none."""
    card = model.card
    if card is not None:
        return _shown(lambda: card, _TYPES[".html"], _CARD_POLICY % _style_source(card))

    async def refuse(_: Request) -> Answer:
        raise http_error(404, f"{model.model_id} has no model card: it was trained before models had any")

    return refuse


def _style_source(card: bytes) -> bytes:
    """A card's stylesheet as a Content-Security-Policy names it."""
    style = card.partition(b"<style>")[2].partition(b"</style>")[0]
    return b"'sha256-" + b64encode(hashlib.sha256(style).digest()) + b"'"


def _shown(read: Callable[[], bytes], kind: bytes, policy: bytes) -> Handler:
    @cache
    def made(packed: bool) -> Answer:
        """When somebody asks first: most services are asked by programs alone."""
        content = gzip.compress(read(), mtime=0) if packed else read()
        encoding = ((b"content-encoding", b"gzip"),) if packed else ()
        headers = ((b"content-security-policy", policy), *_HEADERS, (b"etag", _tag(content)), *encoding)
        return Answer(content, kind, headers)

    async def show(request: Request) -> Answer:
        answer = made(b"gzip" in request.headers.get(b"accept-encoding", b""))
        tags = request.headers.get(b"if-none-match", b"")
        unchanged = any(value in tags for name, value in answer.headers if name == b"etag")
        return answer._replace(body=b"", status=304) if unchanged else answer

    return show


def _tag(content: bytes) -> bytes:
    return b'"' + hashlib.sha256(content).hexdigest()[:32].encode() + b'"'
