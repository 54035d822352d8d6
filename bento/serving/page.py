"""The page at `/`, the API's at `/docs`, and what they need: static files with strict headers."""

import gzip
import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from serving.http import Answer, Handler, Request

_PATHS = {"index.html": "/", "docs.html": "/docs"}
_STATIC = Path(__file__).parent / "static"
_TYPES = {
    ".html": b"text/html; charset=utf-8",
    ".css": b"text/css; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".csv": b"text/csv; charset=utf-8",
}
_HEADERS = (
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        b"form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    # looked at again each time, so that a release brings its own page; the tag makes that cheap
    (b"cache-control", b"no-cache"),
    (b"vary", b"accept-encoding"),
)


def pages() -> Mapping[str, Handler]:
    """Handlers by path: `/`, `/docs`, and `/assets/<name>` for each other file."""
    files = [path for path in sorted(_STATIC.rglob("*")) if path.suffix in _TYPES]
    return {_PATHS.get(path.name, f"/assets/{path.name}"): _shown(path) for path in files}


def _shown(path: Path) -> Handler:
    async def show(request: Request) -> Answer:
        answer = _answer(path, b"gzip" in request.headers.get(b"accept-encoding", b""))
        tags = request.headers.get(b"if-none-match", b"")
        unchanged = any(value in tags for name, value in answer.headers if name == b"etag")
        return answer._replace(body=b"", status=304) if unchanged else answer

    return show


@cache
def _answer(path: Path, packed: bool) -> Answer:
    """Made when somebody asks first: most services are asked by programs alone."""
    content = path.read_bytes()
    if packed:
        content = gzip.compress(content, mtime=0)
    encoding = ((b"content-encoding", b"gzip"),) if packed else ()
    return Answer(content, _TYPES[path.suffix], (*_HEADERS, (b"etag", _tag(content)), *encoding))


def _tag(content: bytes) -> bytes:
    return b'"' + hashlib.sha256(content).hexdigest()[:32].encode() + b'"'
