"""A service in this process to rank lists with."""

import asyncio
from typing import Any

import httpx

from deposit.monitoring.entries import RankedBlock, decode_entry
from deposit.monitoring.spool import Spool
from deposit.settings import Settings
from serving.application import Application


class RankService:
    """Sends lists to an application, and reads what it logged."""

    def __init__(self, application: Application, settings: Settings) -> None:
        self.application = application
        self.settings = settings

    def post(self, path: str = "/rank", **options: Any) -> httpx.Response:
        async def call() -> httpx.Response:
            transport = httpx.ASGITransport(self.application)
            async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
                return await client.post(path, **options)

        return asyncio.run(call())

    def rank(self, content: bytes | str, headers: dict[str, str] | None = None, **fields: str) -> httpx.Response:
        data = content.encode() if isinstance(content, str) else content
        return self.post(files={"file": ("list.csv", data, "text/csv")}, data=fields, headers=headers)

    def logged(self) -> list[RankedBlock]:
        spool = Spool.of(self.settings)
        try:
            return [decode_entry(entry) for _, entry in spool.read(10**9)]  # type: ignore[misc]
        finally:
            spool.close()
