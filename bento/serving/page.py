"""The page at `/` and what it needs: static files, read once, with strict headers."""

import gzip
import hashlib
from collections.abc import Mapping
from pathlib import Path

from serving.http import Answer, Handler, Request

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
    """Handlers by path: `/`, and `/assets/<name>` for each file."""
    files = [path for path in sorted(_STATIC.rglob("*")) if path.suffix in _TYPES]
    return {"/" if path.name == "index.html" else f"/assets/{path.name}": _shown(path) for path in files}


def _shown(path: Path) -> Handler:
    content, kind = path.read_bytes(), _TYPES[path.suffix]
    plain = Answer(content, kind, (*_HEADERS, (b"etag", _tag(content))))
    small = gzip.compress(content, mtime=0)
    packed = Answer(small, kind, (*_HEADERS, (b"etag", _tag(small)), (b"content-encoding", b"gzip")))

    async def show(request: Request) -> Answer:
        answer = packed if b"gzip" in request.headers.get(b"accept-encoding", b"") else plain
        tags = request.headers.get(b"if-none-match", b"")
        unchanged = any(value in tags for name, value in answer.headers if name == b"etag")
        return answer._replace(body=b"", status=304) if unchanged else answer

    return show


def _tag(content: bytes) -> bytes:
    return b'"' + hashlib.sha256(content).hexdigest()[:32].encode() + b'"'
