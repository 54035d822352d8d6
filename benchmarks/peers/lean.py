"""Peer (d), the lean limit: only the service's decoder, encoder and model in a plain ASGI application.

No API key, no log, no error responses, one model call per request.
"""

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import uvicorn

from deposit.model.artifact import ModelArtifact

REPOSITORY = Path(__file__).resolve().parents[2]
MODEL_ID = "lean-v1"


class Lean:
    """ASGI application that scores the customers of a POST request to any path."""

    def __init__(self, artifact: ModelArtifact) -> None:
        from serving import request_schemas

        self._artifact = artifact
        self._request_schemas = request_schemas

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        answer = self._score(body)
        length = str(len(answer)).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", length)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    def _score(self, body: bytes) -> bytes:
        schemas, artifact = self._request_schemas, self._artifact
        customers = schemas.decode_request(body).customers
        probabilities = artifact.probabilities(artifact.encoder.encode_rows(schemas.rows(customers))).tolist()
        predictions = [
            schemas.Prediction(customer.id, "", probability, probability >= artifact.threshold)
            for customer, probability in zip(customers, probabilities, strict=True)
        ]
        answer: bytes = schemas.encode(schemas.PredictResponse(MODEL_ID, False, predictions))
        return answer


def main() -> None:
    """Serve on 127.0.0.1."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    sys.path.insert(0, str(REPOSITORY / "bento"))
    uvicorn.run(
        Lean(ModelArtifact.load(options.model)),
        host="127.0.0.1",
        port=options.port,
        loop="uvloop",
        http="httptools",
        lifespan="off",
        access_log=False,
    )


if __name__ == "__main__":
    main()
