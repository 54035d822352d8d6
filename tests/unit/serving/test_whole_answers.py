import asyncio
from typing import Any

import pytest

from serving.whole_answers import JoinedWrites


class Socket(asyncio.Transport):
    """Keeps what is written, write by write."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.closed_after: int | None = None

    def write(self, data: Any) -> None:
        self.writes.append(bytes(data))

    def close(self) -> None:
        self.closed_after = len(self.writes)


@pytest.fixture
def socket() -> Socket:
    return Socket()


def test_head_and_body_of_one_turn_are_one_write(socket: Socket) -> None:
    async def answer() -> None:
        joined = JoinedWrites(socket, asyncio.get_running_loop())
        for _ in range(2):
            joined.write(b"head")
            joined.write(b"body")
            assert socket.writes in ([], [b"headbody"])
            await asyncio.sleep(0)

    asyncio.run(answer())
    assert socket.writes == [b"headbody", b"headbody"]


def test_what_waits_is_written_before_the_end(socket: Socket) -> None:
    async def answer() -> None:
        joined = JoinedWrites(socket, asyncio.get_running_loop())
        joined.write(b"head")
        joined.close()
        await asyncio.sleep(0)

    asyncio.run(answer())
    assert (socket.writes, socket.closed_after) == ([b"head"], 1)


def test_a_large_answer_does_not_gather_in_memory(socket: Socket) -> None:
    async def answer() -> None:
        joined = JoinedWrites(socket, asyncio.get_running_loop())
        for _ in range(10):
            joined.write(bytes(40 * 2**10))
        assert sum(map(len, socket.writes)) >= 360 * 2**10

    asyncio.run(answer())
