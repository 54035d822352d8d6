"""The one error tree; every message says what is wrong, where, and what to do.

DepositError
├── ConfigError       a setting or the machine is wrong: the operator acts
├── DataError         the input is wrong: its sender acts
│   ├── SourceError       a source cannot be read, or is not what it claims to be
│   ├── ContractError     rows or columns break the data contract
│   ├── TooLargeError     the input exceeds a size limit
│   └── IntegrityError    bytes differ from their recorded sha256
├── UpstreamError     a server that we depend on does not answer: wait or start it
│   └── LoginError        the server refuses the login: waiting does not help, the operator corrects the login
├── LogError          the prediction log cannot be written or read: requests fail until it recovers by itself
│   └── SpoolError        the spool on the disk cannot be written or read: free some space
├── GateError         no model may become (or stay) champion
└── ReleaseError      a release was refused or failed: the old one goes on serving
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ipaddress import ip_address

_FEW = 3


class DepositError(Exception):
    """Base of all errors that are shown to a person: one sentence, and details if there are several faults.

    Args:
        sentence: what is wrong, where, and what to do, in at most 200 characters.
        details: the single faults; `str` of each is one line.
        kept: file or object that already holds all details; None if there is none.
    """

    def __init__(self, sentence: str = "", details: Sequence[object] = (), kept: str | None = None) -> None:
        super().__init__(sentence)
        self.details = tuple(details)
        self.kept = kept

    @property
    def whole(self) -> str:
        """The sentence and the first few details, for a field that holds both."""
        return "; ".join([str(self), *map(str, self.details[:_FEW])])


class ConfigError(DepositError):
    """A setting, or the machine it describes, is wrong."""


class DataError(DepositError):
    """The input is wrong."""


class SourceError(DataError):
    """A source cannot be read, or is not what it claims to be."""


class ContractError(DataError):
    """Rows or columns break the data contract."""


class TooLargeError(DataError):
    """The input has more bytes or rows than the limit."""


class IntegrityError(DataError):
    """Bytes differ from their recorded sha256."""


class UpstreamError(DepositError):
    """A server that this process depends on does not answer or refuses a request."""


class LoginError(UpstreamError):
    """A server that this process depends on refuses the login."""


class LogError(DepositError):
    """The prediction log cannot be written or read; a retry may succeed."""


class SpoolError(LogError):
    """The spool of the prediction log cannot be written or read."""


class GateError(DepositError):
    """No model may become champion, or there is none."""


class ReleaseError(DepositError):
    """A release was refused or failed; the model that served before goes on serving."""


@contextmanager
def located(where: str) -> Iterator[None]:
    """Prefix the messages of data errors inside the block with a file name or an address."""
    try:
        yield
    except DataError as error:
        raise type(error)(f"{where}: {error}", error.details, error.kept) from error


def remedy(host: str | None) -> str:
    """What to do about a server that does not answer: start the stack if the server is part of it, else check it.

    >>> remedy("127.0.0.1") == remedy("postgres") == remedy(None)
    True
    >>> remedy("deposit.abc.eu-central-1.rds.amazonaws.com")
    'see that it runs and that this machine may reach it'
    """
    if host is None or _is_the_stacks_own(host):
        return "start the stack (`deposit up`, with Docker `make up`)"
    return "see that it runs and that this machine may reach it"


def _is_the_stacks_own(host: str) -> bool:
    """Whether a host is a loopback address, or a service name of compose, which has no domain."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return "." not in host
