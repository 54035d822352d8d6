"""Settings as environment variables: the text of a value, values given by reference, and a file of variables.

The names come from `settings.setting_names`; nothing here knows what they mean.
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
_ALIKE = 0.8
"""How near a name must be to be suggested."""


def text_of(value: Any) -> str:
    """A setting's value as its environment variable holds it; a secret in plain text."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, tuple):
        return json.dumps([text_of(each) for each in value])
    if isinstance(value, Enum):
        return str(value.value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def unknown(environ: Mapping[str, str], names: Container[str]) -> list[str]:
    """The variables with the prefix of settings that give none."""
    return sorted(
        name
        for name in environ
        if name.startswith(PREFIX) and name.upper() not in names and _named_by(name, names)[0] is None
    )


def hint(name: str, names: Iterable[str]) -> str:
    """What to do about an unknown variable: the name that is perhaps meant, or where all are.

    >>> hint("DEPOSIT_TRAIN__TRAILS", ["DEPOSIT_TRAIN__TRIALS"])
    'did you mean DEPOSIT_TRAIN__TRIALS?'
    """
    near = get_close_matches(name.upper(), names, 1, _ALIKE)
    return f"did you mean {near[0]}?" if near else "docs/settings.md lists the names"


def with_references(
    environ: Mapping[str, str | None], names: Container[str], with_secrets: bool = True
) -> dict[str, str | None]:
    """The variables by lower-case name, those that say where a value is replaced by the value.

    `<setting>_FILE` names a file, `<setting>_SECRET` a secret of AWS Secrets Manager; the latter are left out unless
    `with_secrets`. Blanks at a value's ends are no part of it, by file or not: an editor or Windows has left
    them. Raises ConfigError or UpstreamError, which never quote a value.
    """
    bare = {name.lower(): _bare(name.upper(), value) for name, value in environ.items() if value}
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
    """The variables by lower-case name, those under an old name in `renamed` (old to new) under the new one.

    Raises ConfigError where both names have values, and these differ.

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
    """A file's content, a variable a line: whatever a value holds, it is read back as it was."""
    # not by a library of `.env` files: they put other variables' values in the place of `${…}`
    return "".join(f"{name}={json.dumps(value)}\n" for name, value in variables.items())


def read_file(path: Path) -> dict[str, str]:
    """The variables of a file; none if it is not there. Raises ConfigError, which quotes none of it."""
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
            raise ConfigError(f"{path} is damaged in line {number}: remove it, and `deposit up` writes it anew")
        result[name] = value
    return result


def _named_by(variable: str, names: Container[str]) -> tuple[str | None, str]:
    """The setting whose value is where the variable says, and by which suffix; None if it is a setting itself."""
    name = variable.upper()
    for suffix in _READERS:
        setting = name.removesuffix(suffix)
        if name not in names and setting != name and setting in names:
            return setting, suffix
    return None, ""


def _bare(variable: str, value: str) -> str:
    """A setting's value without blanks at its ends; another variable's as it is.

    Raises ConfigError if it is in quotes, which are no part of any setting.
    """
    if not variable.startswith(PREFIX):
        return value
    bare = value.strip()
    if len(bare) > 1 and bare[0] == bare[-1] and bare[0] in "\"'":
        raise ConfigError(
            f"{variable} is set to a value in quotes, which would be part of it: remove them; a value that has quotes "
            "at its ends is given by file (docs/settings.md)"
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
"""What reads a value, by the suffix of the variable that says where it is."""
