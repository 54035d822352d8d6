"""What the reader of tables refuses, in HTTP's terms."""

from collections.abc import Iterator
from contextlib import contextmanager

from deposit.data.tables.charsets import codec_of
from deposit.errors import DataError, TooLargeError
from serving.problems import refuse


def stated_codec(label: str | None) -> str | None:
    """The codec of a charset that the sender states; None if none is. Raises RequestError 415 for an unknown one."""
    if not label:
        return None
    codec = codec_of(label)
    if codec is None:
        raise refuse(415, f"the charset {label[:40]!r} is unknown; send utf-8, or state one such as windows-1252")
    return codec


@contextmanager
def refusals(status: int, field: str | None) -> Iterator[None]:
    """Turn what the reader refuses into RequestError: `status`, or 413 for what is too large."""
    try:
        yield
    except DataError as error:
        raise refuse(413 if isinstance(error, TooLargeError) else status, str(error), field) from error
