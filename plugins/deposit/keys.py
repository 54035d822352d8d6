"""API keys: create, list, revoke. A file or an AWS secret holds names, roles and sha256 digests, never a key itself.

Shared by the command `deposit keys` and the service, so it depends on neither a model library nor a server.
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

from deposit import secretsmanager
from deposit.errors import ConfigError
from deposit.files import exclusive, replace_file
from deposit.sections import ServeSettings

Place = Path | str
"""Where the keys are stored: a file, or the name or ARN of a secret in AWS Secrets Manager."""

Role = Literal["predict", "outcomes", "admin"]
PREDICT, OUTCOMES, ADMIN = ROLES = ("predict", "outcomes", "admin")
PREFIX = "deposit_"
ANONYMOUS, RELEASER = "anonymous", "releaser"
"""Reserved names: the clients of an open service, and the releaser, which tests new services."""
SETTING = "DEPOSIT_SERVE__KEYS_SECRET_ID"
"""Setting that names the secret, for messages."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_FORMAT: Literal[1] = 1


class Key(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One key; `rate_per_second` and `max_body_bytes` override the service's limits, a rate of 0 means no limit."""

    name: str
    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    roles: tuple[Role, ...]
    created: str
    rate_per_second: Annotated[float, msgspec.Meta(ge=0, le=1e6)] | None = None
    max_body_bytes: Annotated[int, msgspec.Meta(ge=1)] | None = None


class KeysFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All keys; `open` states explicitly that no key is needed. Without it, an empty list rejects every request."""

    format: Literal[1] = _FORMAT
    open: bool = False
    keys: tuple[Key, ...] = ()


def place_of(serve: ServeSettings) -> Place | None:
    """Where the keys are stored by the settings; None if no key is needed. Raises ConfigError if two places are set."""
    if serve.keys_file and serve.keys_secret_id:
        raise ConfigError(f"DEPOSIT_SERVE__KEYS_FILE and {SETTING} are both set: remove one of them")
    return serve.keys_file or serve.keys_secret_id


def digest(key: str) -> str:
    """Hexadecimal sha256 of a key; keys have 256 random bits, so neither a salt nor a slow hash is needed."""
    return hashlib.sha256(key.encode()).hexdigest()


def new_key() -> str:
    """Generate a key; it is stored nowhere."""
    return PREFIX + secrets.token_urlsafe(32)


def parse(content: bytes | str) -> KeysFile:
    """Parse the content of a keys file. Raises ConfigError if it is damaged, without quoting it."""
    try:
        file = msgspec.json.decode(content, type=KeysFile)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(
            f"the keys file is damaged ({error}): restore it, or create it again with `deposit keys`"
        ) from error
    if len({key.name for key in file.keys}) < len(file.keys) or (file.open and file.keys):
        raise ConfigError("the keys file is damaged (a name twice, or keys in an open one): correct it")
    return file


def read(place: Place) -> KeysFile:
    """Read the keys of a file or secret. Raises ConfigError if it is missing, unreadable or damaged, UpstreamError."""
    if not isinstance(place, Path):
        return parse(secretsmanager.fetch(SETTING, place))
    try:
        return parse(place.read_bytes())
    except OSError as error:
        raise ConfigError(
            f"cannot read the keys file {place} ({error.strerror}): `deposit keys add` creates it"
        ) from error


def add(
    place: Place,
    name: str,
    roles: Sequence[str],
    rate_per_second: float | None = None,
    max_body_bytes: int | None = None,
) -> tuple[Key, str]:
    """Create a key, and the file if it is missing; returns the stored entry, and the key itself, which is not stored.

    Raises ConfigError for a name that is taken or malformed, an unknown role or a negative limit, UpstreamError.
    """
    secret = new_key()
    _check_name(name)
    key = _entry(name, secret, roles, rate_per_second, max_body_bytes)

    def added(now: tuple[Key, ...]) -> tuple[Key, ...]:
        if any(there.name == name for there in now):
            raise ConfigError(f"there is a key {name} already: choose another name, or `deposit keys remove {name}`")
        return (*now, key)

    _change(place, added)
    return key, secret


def remove(place: Place, name: str) -> Key:
    """Revoke a key and return its entry; an empty file stays closed. Raises ConfigError if there is no such key."""
    read(place)
    revoked: dict[str, Key] = {}

    def removed(now: tuple[Key, ...]) -> tuple[Key, ...]:
        revoked.update((key.name, key) for key in now if key.name == name)
        if not revoked:
            raise ConfigError(f"there is no key {name}: `deposit keys list` shows them")
        return tuple(key for key in now if key.name != name)

    _change(place, removed)
    return revoked[name]


def admit(place: Place, name: str, secret: str, roles: Sequence[str], rate_per_second: float | None = None) -> bool:
    """Make sure that an existing key, such as a service's own, is stored under a name; True if it was not.

    Raises ConfigError and UpstreamError as `add` does.
    """
    key, changed = _entry(name, secret, roles, rate_per_second), False

    def admitted(now: tuple[Key, ...]) -> tuple[Key, ...]:
        nonlocal changed
        there = next((other for other in now if other.name == name), None)
        changed = there is None or (there.sha256, there.roles) != (key.sha256, key.roles)
        return (*(other for other in now if other.name != name), key) if changed else now

    _change(place, admitted)
    return changed


def make_open(path: Path) -> bool:
    """Create a keys file that needs no key, unless the file exists; True if it was created."""
    return _make(path, KeysFile(open=True))


def make_closed(path: Path, given: Mapping[str, tuple[str, Sequence[str]]]) -> bool:
    """Create a file of existing keys (name to key and roles), unless the file exists; True if it was created."""
    for name in given:
        _check_name(name)
    return _make(path, KeysFile(keys=tuple(_entry(name, key, roles) for name, (key, roles) in given.items())))


def _make(path: Path, content: KeysFile) -> bool:
    with _locked(path):
        if path.exists():
            return False
        replace_file(path, _encoded(content))
    return True


def _entry(
    name: str,
    secret: str,
    roles: Sequence[str],
    rate_per_second: float | None = None,
    max_body_bytes: int | None = None,
) -> Key:
    """The stored entry of a key. Raises ConfigError for an unknown role or a negative limit."""
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
        raise ConfigError(f"cannot create the key {name}: {error}; roles are {', '.join(ROLES)}") from error
    if not key.roles:
        raise ConfigError(f"the key {name} needs a role: {', '.join(ROLES)}")
    return key


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name) or name in {ANONYMOUS, RELEASER}:
        raise ConfigError(
            f"{name!r} cannot be the name of a key: use 1 to 64 letters, digits, `.`, `_`, `@` or `-`, "
            f"and neither {ANONYMOUS} nor {RELEASER}"
        )


def _change(place: Place, change: Callable[[tuple[Key, ...]], tuple[Key, ...]]) -> None:
    if not isinstance(place, Path):
        secretsmanager.replace(SETTING, place, lambda text: _changed(text, change).decode())
        return
    with _locked(place):
        replace_file(place, _changed(place.read_bytes() if place.exists() else None, change))


def _changed(content: bytes | str | None, change: Callable[[tuple[Key, ...]], tuple[Key, ...]]) -> bytes:
    return _encoded(KeysFile(keys=change(() if content is None else parse(content).keys)))


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Serialise changes; the lock is a separate file, since each change replaces the keys file."""
    with ExitStack() as stack:
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            stack.enter_context(exclusive(path.with_name(path.name + ".lock")))
        except OSError as error:
            raise ConfigError(
                f"cannot write next to the keys file {path} ({error.strerror}): correct its folder"
            ) from error
        yield


def _encoded(content: KeysFile) -> bytes:
    return msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n"
