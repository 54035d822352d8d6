"""Static files with strict security headers: the page at `/`, the API docs at `/docs`, their assets, the model card."""

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
"""Policy of the page; the tab in which the page opens the card inherits it, so the card's style is allowed here too."""
_CARD_POLICY = b"default-src 'none'; style-src %s; form-action 'none'; base-uri 'none'; frame-ancestors 'none'; sandbox"
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    # revalidated on every request, so that a release serves its own page; the ETag keeps that cheap
    (b"cache-control", b"no-cache"),
    (b"vary", b"accept-encoding"),
)


def pages(card: bytes | None) -> Mapping[str, Handler]:
    """Return handlers by path: `/`, `/docs`, and `/assets/<name>` for all other files; `card` is the model card."""
    policy = _POLICY % (_style_source(card) if card else b"")
    files = [path for path in sorted(_STATIC.rglob("*")) if path.suffix in _TYPES]
    return {
        _PATHS.get(path.name, f"/assets/{path.name}"): _file_handler(path.read_bytes, _TYPES[path.suffix], policy)
        for path in files
    }


def card_page(model: LoadedModel) -> Handler:
    """Return the handler of a model's card, which raises 404 if the model has none."""
    card = model.card
    if card is not None:
        return _file_handler(lambda: card, _TYPES[".html"], _CARD_POLICY % _style_source(card))

    async def refuse(_: Request) -> Answer:
        raise http_error(404, f"{model.model_id} has no model card: it was trained before model cards existed")

    return refuse


def _style_source(card: bytes) -> bytes:
    """Return the Content-Security-Policy source (a hash) of the card's inline stylesheet."""
    style = card.partition(b"<style>")[2].partition(b"</style>")[0]
    return b"'sha256-" + b64encode(hashlib.sha256(style).digest()) + b"'"


def _file_handler(read: Callable[[], bytes], kind: bytes, policy: bytes) -> Handler:
    @cache
    def response(packed: bool) -> Answer:
        """Build the response on the first request: most services never serve the page."""
        content = gzip.compress(read(), mtime=0) if packed else read()
        encoding = ((b"content-encoding", b"gzip"),) if packed else ()
        headers = ((b"content-security-policy", policy), *_HEADERS, (b"etag", _tag(content)), *encoding)
        return Answer(content, kind, headers)

    async def serve(request: Request) -> Answer:
        answer = response(b"gzip" in request.headers.get(b"accept-encoding", b""))
        tags = request.headers.get(b"if-none-match", b"")
        unchanged = any(value in tags for name, value in answer.headers if name == b"etag")
        return answer._replace(body=b"", status=304) if unchanged else answer

    return serve


def _tag(content: bytes) -> bytes:
    return b'"' + hashlib.sha256(content).hexdigest()[:32].encode() + b'"'
