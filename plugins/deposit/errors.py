"""The one error tree; every message says what is wrong, where, and what to do.

DepositError
├── ConfigError       a setting or the machine is wrong: the operator acts
├── DataError         the input is wrong: whoever sent it acts
│   ├── SourceError       a source cannot be read, or not as what it claims to be
│   ├── ContractError     rows or columns break the data contract
│   ├── TooLargeError     more than is taken at once
│   └── IntegrityError    bytes differ from their recorded sha256
├── UpstreamError     a server that we depend on does not answer: wait or start it
│   └── LoginError        it answers and refuses the login: waiting does not help, whoever set it acts
├── LogError          the prediction log cannot be written or read: nothing is answered meanwhile; it recovers by itself
│   └── SpoolError        its spool on the disk: free some space
├── GateError         there is no model that may become (or stay) champion
└── ReleaseError      a release was refused or failed: the old one goes on serving
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ipaddress import ip_address

_FEW = 3


class DepositError(Exception):
    """Base of all errors that are shown to a person: one sentence, below what it is about.

    Args:
        sentence: what is wrong, where, and what to do, in at most 200 letters.
        details: each thing that is wrong, as a value whose text is a line.
        kept: where all details stand already, a file or an object; None if nowhere.
    """

    def __init__(self, sentence: str = "", details: Sequence[object] = (), kept: str | None = None) -> None:
        super().__init__(sentence)
        self.details = tuple(details)
        self.kept = kept

    @property
    def whole(self) -> str:
        """The sentence and a few details, for a place that has one field for both."""
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
    """More bytes or rows than are taken at once."""


class IntegrityError(DataError):
    """Bytes differ from their recorded sha256."""


class UpstreamError(DepositError):
    """A server that this one depends on does not answer."""


class LoginError(UpstreamError):
    """A server that this one depends on refuses the login."""


class LogError(DepositError):
    """The prediction log cannot be written or read; the next attempt may succeed."""


class SpoolError(LogError):
    """The spool of the prediction log cannot be written or read."""


class GateError(DepositError):
    """No model may become champion, or there is none."""


class ReleaseError(DepositError):
    """A release was refused or failed; what served before goes on serving."""


@contextmanager
def located(where: str) -> Iterator[None]:
    """Put the name of a file or an address before what is wrong with the data inside the block."""
    try:
        yield
    except DataError as error:
        raise type(error)(f"{where}: {error}", error.details, error.kept) from error


def remedy(host: str | None) -> str:
    """What brings a server back that does not answer: a stack's own by its command; another is somebody else's.

    >>> remedy("127.0.0.1") == remedy("postgres") == remedy(None)
    True
    >>> remedy("deposit.abc.eu-central-1.rds.amazonaws.com")
    'see that it runs and that this machine may reach it'
    """
    if host is None or _is_the_stacks_own(host):
        return "start the stack (`deposit up`, with Docker `make up`)"
    return "see that it runs and that this machine may reach it"


def _is_the_stacks_own(host: str) -> bool:
    """A machine's loopback, or a name of compose's, which has no domain."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return "." not in host
