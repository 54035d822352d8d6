"""Clients that ask for predictions all the time, and keep every answer that is none."""

import http.client
import json
import threading
from collections.abc import Callable
from typing import Any

import httpx

_JOIN_SECONDS = 60


class Load:
    """Keep-alive clients that send one customer after the other; every answer but 200 is a failure."""

    def __init__(self, port: int, customer: dict[str, Any]) -> None:
        self._port = port
        self._body = json.dumps({"customers": [customer]})
        self._stop = threading.Event()
        self.failures: list[str] = []
        self.answers: list[str] = []
        self.predictions: list[str] = []

    def __enter__(self) -> "Load":
        clients = (self._plain, self._plain, self._plain, self._httpx)
        self._threads = [threading.Thread(target=client) for client in clients]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(_JOIN_SECONDS)

    def _plain(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)

        def call() -> tuple[int, bytes]:
            try:
                connection.request("POST", "/predict", self._body, {"Content-Type": "application/json"})
                response = connection.getresponse()
                return response.status, response.read()
            except (OSError, http.client.HTTPException):
                connection.close()  # else it would refuse all that follow
                raise

        self._repeat(call)
        connection.close()

    def _httpx(self) -> None:
        with httpx.Client(base_url=f"http://127.0.0.1:{self._port}", trust_env=False, timeout=30) as client:

            def call() -> tuple[int, bytes]:
                response = client.post("/predict", content=self._body, headers={"Content-Type": "application/json"})
                return response.status_code, response.content

            self._repeat(call)

    def _repeat(self, call: Callable[[], tuple[int, bytes]]) -> None:
        while not self._stop.is_set():
            try:
                status, content = call()
            except (OSError, http.client.HTTPException, httpx.HTTPError) as error:
                self.failures.append(repr(error))
                continue
            if status == 200:
                answer = json.loads(content)
                self.answers.append(answer["model"])
                self.predictions += [prediction["prediction_id"] for prediction in answer["predictions"]]
            else:
                self.failures.append(f"{status} {content!r}")
