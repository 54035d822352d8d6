"""The file of API keys: make, list, revoke. It holds names, roles and the keys' sha256, never a key.

Shared by the command `deposit keys` and the service, so it needs neither a model library nor a server.
"""

import hashlib
import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from deposit.errors import ConfigError
from deposit.files import exclusive, replace_file

Role = Literal["predict", "outcomes", "admin"]
PREDICT, OUTCOMES, ADMIN = ROLES = ("predict", "outcomes", "admin")
PREFIX = "deposit_"
ANONYMOUS, RELEASER = "anonymous", "releaser"
"""Names that no key may have: who asks an open service, and the releaser that tests a new one."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_FORMAT: Literal[1] = 1


class Key(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One key; `rate_per_second` and `max_body_bytes` override the service's own, a rate of 0 means no limit."""

    name: str
    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    roles: tuple[Role, ...]
    created: str
    rate_per_second: Annotated[float, msgspec.Meta(ge=0, le=1e6)] | None = None
    max_body_bytes: Annotated[int, msgspec.Meta(ge=1)] | None = None


class KeysFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All keys; `open` says, in so many words, that none is needed. An empty list that is not open refuses all."""

    format: Literal[1] = _FORMAT
    open: bool = False
    keys: tuple[Key, ...] = ()


def digest(key: str) -> str:
    """Hexadecimal sha256 of a key; keys are 256 random bits, so that neither salt nor slow hash is needed."""
    return hashlib.sha256(key.encode()).hexdigest()


def new_key() -> str:
    """A fresh key, kept nowhere."""
    return PREFIX + secrets.token_urlsafe(32)


def parse(content: bytes) -> KeysFile:
    """The keys in a file's content. Raises ConfigError, which quotes nothing of it."""
    try:
        file = msgspec.json.decode(content, type=KeysFile)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(
            f"the keys file is damaged ({error}): restore it, or make it anew with `deposit keys`"
        ) from error
    if len({key.name for key in file.keys}) < len(file.keys) or (file.open and file.keys):
        raise ConfigError("the keys file is damaged (a name twice, or keys in an open one): correct it")
    return file


def read(path: Path) -> KeysFile:
    """The keys file. Raises ConfigError if it is missing, unreadable or damaged."""
    try:
        return parse(path.read_bytes())
    except OSError as error:
        raise ConfigError(
            f"cannot read the keys file {path} ({error.strerror}): `deposit keys add` makes it"
        ) from error


def add(
    path: Path,
    name: str,
    roles: Sequence[str],
    rate_per_second: float | None = None,
    max_body_bytes: int | None = None,
) -> tuple[Key, str]:
    """Make a key, in a new file if there is none; gives what is kept and the key itself, which is not.

    Raises ConfigError for a name that is taken or malformed, an unknown role or a negative limit.
    """
    secret = new_key()
    key = _kept(name, secret, roles, rate_per_second, max_body_bytes)

    def added(now: tuple[Key, ...]) -> tuple[Key, ...]:
        if any(there.name == name for there in now):
            raise ConfigError(f"there is a key {name} already: choose another name, or `deposit keys remove {name}`")
        return (*now, key)

    _change(path, added)
    return key, secret


def remove(path: Path, name: str) -> Key:
    """Revoke a key. The file stays closed, also when this was the last one. Raises ConfigError if there is none."""
    read(path)
    gone: list[Key] = []

    def removed(now: tuple[Key, ...]) -> tuple[Key, ...]:
        gone.extend(key for key in now if key.name == name)
        if not gone:
            raise ConfigError(f"there is no key {name}: `deposit keys list` shows them")
        return tuple(key for key in now if key.name != name)

    _change(path, removed)
    return gone[0]


def make_open(path: Path) -> bool:
    """Make a file that says that no key is needed, unless there is one; True if it was made."""
    return _make(path, KeysFile(open=True))


def make_closed(path: Path, given: Mapping[str, tuple[str, Sequence[str]]]) -> bool:
    """Make a file of keys that were made before, by name with their roles, unless there is one; True if it was made."""
    return _make(path, KeysFile(keys=tuple(_kept(name, key, roles) for name, (key, roles) in given.items())))


def _make(path: Path, content: KeysFile) -> bool:
    with _locked(path):
        if path.exists():
            return False
        _write(path, content)
    return True


def _kept(
    name: str,
    secret: str,
    roles: Sequence[str],
    rate_per_second: float | None = None,
    max_body_bytes: int | None = None,
) -> Key:
    """What is kept of a key. Raises ConfigError for a malformed name, an unknown role or a negative limit."""
    _check_name(name)
    try:
        key = msgspec.convert(
            {
                "name": name,
                "sha256": digest(secret),
                "roles": list(dict.fromkeys(roles)),
                "created": datetime.now(UTC).isoformat(timespec="seconds"),
                "rate_per_second": rate_per_second,
                "max_body_bytes": max_body_bytes,
            },
            Key,
        )
    except msgspec.ValidationError as error:
        raise ConfigError(f"cannot make the key {name}: {error}; roles are {', '.join(ROLES)}") from error
    if not key.roles:
        raise ConfigError(f"the key {name} needs a role: {', '.join(ROLES)}")
    return key


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name) or name in {ANONYMOUS, RELEASER}:
        raise ConfigError(
            f"{name!r} cannot be the name of a key: take 1 to 64 letters, digits, `.`, `_`, `@` or `-`, "
            f"and neither {ANONYMOUS} nor {RELEASER}"
        )


def _change(path: Path, change: Callable[[tuple[Key, ...]], tuple[Key, ...]]) -> None:
    with _locked(path):
        now = read(path).keys if path.exists() else ()
        _write(path, KeysFile(keys=change(now)))


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One change at a time; the lock is a file beside, since the keys file itself is replaced."""
    with ExitStack() as stack:
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            stack.enter_context(exclusive(path.with_name(path.name + ".lock")))
        except OSError as error:
            raise ConfigError(
                f"cannot write beside the keys file {path} ({error.strerror}): correct its folder"
            ) from error
        yield


def _write(path: Path, content: KeysFile) -> None:
    replace_file(path, msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n")
