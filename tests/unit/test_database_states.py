"""Connections to a PostgreSQL that is starting, recovering or shutting down, simulated at the wire protocol."""

import socketserver
import struct
import threading
from collections.abc import Callable, Iterator

import pytest

from deposit import database
from deposit.database import engine_for, reachable
from deposit.errors import UpstreamError

STARTING = ("57P03", "the database system is starting up")
OTHER = ("3D000", 'database "none" does not exist')
Answers = Callable[..., str]


class Refusing(socketserver.ThreadingTCPServer):
    """Refuses each login with the next of `answers`; once they are used up, with the last."""

    daemon_threads = True
    answers: list[tuple[str, str]] = []  # noqa: RUF012 - there is one server per test
    logins = 0


class _Handler(socketserver.StreamRequestHandler):
    server: Refusing

    def handle(self) -> None:
        while True:
            size, kind = struct.unpack("!ii", self.rfile.read(8))
            self.rfile.read(size - 8)
            if kind == 3 << 16:  # a login, not a request for TLS
                break
            self.wfile.write(b"N")
        code, message = self.server.answers[min(self.server.logins, len(self.server.answers) - 1)]
        self.server.logins += 1
        fields = b"".join(
            name + text.encode() + b"\0" for name, text in ((b"S", "FATAL"), (b"C", code), (b"M", message))
        )
        self.wfile.write(b"E" + struct.pack("!i", len(fields) + 5) + fields + b"\0")


@pytest.fixture
def refused() -> Iterator[Answers]:
    """Connect to a server with these answers; returns the number of logins and the error, `<logins>: <message>`."""
    with Refusing(("127.0.0.1", 0), _Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()

        def refusal(*answers: tuple[str, str]) -> str:
            server.answers, server.logins = list(answers), 0
            engine = engine_for(f"postgresql://a:b@127.0.0.1:{server.server_address[1]}/none", "THE_SETTING")
            with pytest.raises(UpstreamError) as error, reachable(engine), engine.connect():
                pass
            return f"{server.logins}: {error.value}"

        yield refusal
        server.shutdown()


@pytest.mark.parametrize(
    "answer",
    [
        STARTING,
        ("57P03", "the database system is shutting down"),
        ("57P03", "the database system is in recovery mode"),
        ("57P03", "the database system is not yet accepting connections"),
        ("57P01", "terminating connection due to administrator command"),
    ],
)
def test_a_server_that_is_starting_or_stopping_is_no_reason_to_start_the_stack(
    refused: Answers, answer: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_STARTUP_SECONDS", 0.0)
    sentence = refused(answer)
    assert sentence.startswith(f"1: cannot use the database: {answer[1]} (postgresql")
    assert sentence.endswith("; the server is starting or stopping: try again in a moment")


def test_a_connection_is_retried_only_while_the_server_is_starting(refused: Answers) -> None:
    assert refused(STARTING, STARTING, OTHER).startswith(f"3: cannot use the database: {OTHER[1]}")
    assert refused(OTHER).startswith("1: ")
    assert refused(OTHER).endswith("; start the stack (`deposit up`, with Docker `make up`), or correct THE_SETTING")
