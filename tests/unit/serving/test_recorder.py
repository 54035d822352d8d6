import asyncio
from collections.abc import Sequence
from threading import Event
from typing import Any

from deposit.log.entries import Entry
from serving.recorder import Recorder

SECONDS = 60


class _Disk:
    """A log whose first transaction lasts until it is let go."""

    def __init__(self) -> None:
        self.transactions: list[list[str]] = []
        self.begun, self.may_end = Event(), Event()

    def append(self, entries: Sequence[Entry]) -> None:
        self.transactions.append([entry.kind for entry in entries])
        self.begun.set()
        assert self.may_end.wait(SECONDS)


def _entry(name: str) -> Entry:
    return Entry(name, 1, 0.0, b"")


async def _recorded(disk: Any) -> None:
    recorder, loop = Recorder(disk), asyncio.get_running_loop()
    answers = [loop.create_future() for _ in range(3)]

    def submit(place: int, name: str) -> None:
        recorder.submit([_entry(name)], lambda error: answers[place].set_result(error))

    recorder.when_free(lambda: submit(0, "alone"))
    assert await asyncio.to_thread(disk.begun.wait, SECONDS)
    recorder.when_free(lambda: submit(1, "scored meanwhile"))
    submit(2, "ready meanwhile")
    disk.may_end.set()
    assert await asyncio.wait_for(asyncio.gather(*answers), SECONDS) == [None, None, None]


def test_what_waits_for_a_transaction_goes_into_the_next_one_with_all_that_is_ready() -> None:
    disk = _Disk()
    asyncio.run(_recorded(disk))
    assert [sorted(kinds) for kinds in disk.transactions] == [["alone"], ["ready meanwhile", "scored meanwhile"]]
