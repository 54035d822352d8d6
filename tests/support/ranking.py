"""A service in this process to rank lists with."""

from typing import Any

import httpx
from inprocess import InProcess


class RankService(InProcess):
    """Sends lists to an application, and reads what it logged."""

    def post(self, path: str = "/rank", **options: Any) -> httpx.Response:
        """The answer to any POST."""
        return self.ask(path, **options)

    def rank(self, content: bytes | str, headers: dict[str, str] | None = None, **fields: str) -> httpx.Response:
        """The answer to a form with the list as its file."""
        data = content.encode() if isinstance(content, str) else content
        return self.post(files={"file": ("list.csv", data, "text/csv")}, data=fields, headers=headers)
