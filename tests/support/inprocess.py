"""The service's application in this process, and what it wrote to its spool."""

import asyncio
from typing import Any

import httpx

from deposit.log.entries import decode_entry
from deposit.log.spool import Spool
from deposit.settings import Settings
from serving.application import Application


class InProcess:
    """Sends requests to an application without a socket between."""

    def __init__(self, application: Application, settings: Settings) -> None:
        self.application = application
        self.settings = settings

    def ask(self, path: str, **options: Any) -> httpx.Response:
        """The answer to a POST."""

        async def call() -> httpx.Response:
            transport = httpx.ASGITransport(self.application)
            async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
                return await client.post(path, **options)

        return asyncio.run(call())

    def logged(self) -> list[Any]:
        """What was logged since it was asked the last time."""
        spool = Spool.of(self.settings)
        try:
            batch = spool.read(10**9)
            spool.remove([seq for seq, _ in batch])
            return [decode_entry(entry) for _, entry in batch]
        finally:
            spool.close()
