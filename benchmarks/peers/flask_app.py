"""Peer (a), what most people would write: Flask, Waitress, a scikit-learn pipeline, one INSERT per request.

The database is set by libpq's environment variables (PGHOST, PGPORT, …).
"""

import uuid
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import joblib
import pandas as pd
import waitress
from flask import Flask, Response, jsonify, request
from psycopg.types.json import Jsonb
from psycopg_pool import ConnectionPool

THREADS = 4
THRESHOLD = 0.5
TABLE = """
CREATE TABLE IF NOT EXISTS predictions (
    request_id uuid PRIMARY KEY,
    made_at timestamptz NOT NULL DEFAULT now(),
    customers jsonb NOT NULL,
    predictions jsonb NOT NULL
)
"""
INSERT = "INSERT INTO predictions (request_id, customers, predictions) VALUES (%s, %s, %s)"


def create_app(model: Any, pool: ConnectionPool) -> Flask:
    """Create the application with a loaded model and a connection pool."""
    app = Flask(__name__)
    columns = list(model.feature_names_in_)

    @app.post("/predict")
    def predict() -> Response:
        customers = request.get_json()["customers"]
        probabilities = model.predict_proba(pd.DataFrame(customers, columns=columns))[:, 1].tolist()
        predictions = [
            {
                "id": customer.get("id"),
                "prediction_id": str(uuid.uuid4()),
                "probability": probability,
                "subscribes": probability >= THRESHOLD,
            }
            for customer, probability in zip(customers, probabilities, strict=True)
        ]
        with pool.connection() as connection:
            connection.execute(INSERT, (uuid.uuid4(), Jsonb(customers), Jsonb(predictions)))
        return jsonify(model="flask-v1", predictions=predictions)

    return app


def main() -> None:
    """Serve on 127.0.0.1."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    with ConnectionPool(min_size=THREADS, max_size=THREADS, open=True) as pool:
        with pool.connection() as connection:
            connection.execute(TABLE)
        app = create_app(joblib.load(options.model), pool)
        waitress.serve(app, host="127.0.0.1", port=options.port, threads=THREADS)


if __name__ == "__main__":
    main()
