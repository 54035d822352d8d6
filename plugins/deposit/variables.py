"""Settings as environment variables: formatting of values, references to values, and files of variables.

The names come from `settings.setting_names`; this module does not know what they mean.
"""

import json
from collections.abc import Callable, Container, Iterable, Mapping
from difflib import get_close_matches
from enum import Enum
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from deposit.errors import ConfigError
from deposit.secretsmanager import read_secret

PREFIX = "DEPOSIT_"
_MIN_SIMILARITY = 0.8
"""Minimum similarity of a name that is suggested."""


def text_of(value: Any) -> str:
    """Format a setting's value for its environment variable; a secret is in plain text."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, tuple):
        return json.dumps([text_of(each) for each in value])
    if isinstance(value, Enum):
        return str(value.value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def unknown(environ: Mapping[str, str], names: Container[str]) -> list[str]:
    """The variables with the prefix of settings that are not settings or references to one."""
    return sorted(
        name
        for name in environ
        if name.startswith(PREFIX) and name.upper() not in names and _named_by(name, names)[0] is None
    )


def hint(name: str, names: Iterable[str]) -> str:
    """What to do about an unknown variable: use a similar name, or look the names up.

    >>> hint("DEPOSIT_TRAIN__TRAILS", ["DEPOSIT_TRAIN__TRIALS"])
    'did you mean DEPOSIT_TRAIN__TRIALS?'
    """
    near = get_close_matches(name.upper(), names, 1, _MIN_SIMILARITY)
    return f"did you mean {near[0]}?" if near else "docs/settings.md lists the names"


def with_references(
    environ: Mapping[str, str | None], names: Container[str], with_secrets: bool = True
) -> dict[str, str | None]:
    """The variables by lower-case name, with references replaced by the values that they refer to.

    `<setting>_FILE` names a file, `<setting>_SECRET` a secret of AWS Secrets Manager; the latter are left out unless
    `with_secrets`. Whitespace around a value is removed, in a file too: editors and Windows leave it behind. Raises
    ConfigError or UpstreamError, which never quote a value.
    """
    bare = {name.lower(): _strip(name.upper(), value) for name, value in environ.items() if value}
    result: dict[str, str | None] = {name: value for name, value in bare.items() if value}
    for variable, reference in list(result.items()):
        setting, suffix = _named_by(variable, names)
        if setting is None:
            continue
        del result[variable]
        if not reference or (suffix == _SECRET and not with_secrets):
            continue
        if result.get(setting.lower()):
            raise ConfigError(f"{setting} and {variable.upper()} are both set: remove one of them")
        result[setting.lower()] = _READERS[suffix](variable.upper(), reference)
    return result


def with_new_names(values: Mapping[str, str | None], renamed: Mapping[str, str]) -> dict[str, str | None]:
    """The variables by lower-case name, with the old names in `renamed` (old to new) replaced by the new ones.

    Raises ConfigError if both names are set, to different values.

    >>> with_new_names({"a": "1"}, {"A": "B"})
    {'b': '1'}
    """
    result = dict(values)
    for old, new in renamed.items():
        value = result.pop(old.lower(), None)
        if not value:
            continue
        current = result.get(new.lower())
        if current and not _equal(value, current):
            raise ConfigError(f"{old} is the old name of {new}, and both are set, to different values: remove {old}")
        result[new.lower()] = current or value
    return result


def file_of(variables: Mapping[str, str]) -> str:
    """The content of a file with one variable per line; `read_file` restores every value exactly."""
    # not in the format of `.env` libraries, which replace `${…}` in a value
    return "".join(f"{name}={json.dumps(value)}\n" for name, value in variables.items())


def read_file(path: Path) -> dict[str, str]:
    """Read the variables of a file; none if it does not exist. Raises ConfigError, which does not quote it."""
    try:
        lines = path.read_text().splitlines()
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the stack's settings {path} ({_reason(error)})") from error
    result = {}
    for number, line in enumerate(lines, 1):
        name, _, written = line.partition("=")
        try:
            value = json.loads(written)
        except ValueError:
            value = None
        if not isinstance(value, str):
            raise ConfigError(f"{path} is damaged in line {number}: remove it, and `deposit up` writes it again")
        result[name] = value
    return result


def _named_by(variable: str, names: Container[str]) -> tuple[str | None, str]:
    """The setting that a variable is a reference for, and the variable's suffix; None if it is no reference."""
    name = variable.upper()
    for suffix in _READERS:
        setting = name.removesuffix(suffix)
        if name not in names and setting != name and setting in names:
            return setting, suffix
    return None, ""


def _strip(variable: str, value: str) -> str:
    """A setting's value without surrounding whitespace; the value of any other variable unchanged.

    Raises ConfigError if the value is in quotes, which would become part of it.
    """
    if not variable.startswith(PREFIX):
        return value
    bare = value.strip()
    if len(bare) > 1 and bare[0] == bare[-1] and bare[0] in "\"'":
        raise ConfigError(
            f"{variable} is set to a value in quotes, which would be part of it: remove them; a value that really has "
            "quotes at its ends can be given by file (docs/settings.md)"
        )
    return bare


def _equal(one: str, other: str) -> bool:
    """Whether two texts are the same number, or the same text."""
    try:
        return float(one) == float(other)
    except ValueError:
        return one == other


def _content(variable: str, path: str) -> str:
    try:
        value = Path(path).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{variable}: cannot read {path} ({_reason(error)})") from error
    if not value:
        raise ConfigError(f"{variable}: {path} is empty: write the value into it, or remove the variable")
    return value


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return getattr(error, "strerror", None) or "it is not text in UTF-8"


_FILE, _SECRET = "_FILE", "_SECRET"
_READERS: dict[str, Callable[[str, str], str]] = {_FILE: _content, _SECRET: read_secret}
"""Functions that read a referenced value, by the suffix of the variable with the reference."""
