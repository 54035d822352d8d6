"""The BentoML service: one baked-in model behind a bare ASGI application.

BentoML packages, versions and starts it and answers /livez and /readyz; its own API layer, access log and metrics
are off, since they cost more than the model.
"""

from pathlib import Path

import bentoml

from deposit.settings import load_settings
from serving.application import Application
from serving.predictor import Predictor

LIMITS = load_settings().serve
MODEL_TAG = Path(__file__).with_name("model.tag").read_text().strip()
"""The packager writes this file; `:latest` would not do, for a store may hold several versions."""

application = Application(LIMITS.max_body_bytes, LIMITS.max_customers)


@bentoml.service(
    name="deposit",
    workers=1,
    metrics={"enabled": False},
    logging={"access": {"enabled": False}},
    traffic={"timeout": 60},
)
@bentoml.asgi_app(application, path="/")
class Deposit:
    """Scores customers with the model that this Bento was built with."""

    model = bentoml.models.BentoModel(MODEL_TAG)

    def __init__(self) -> None:
        application.predictor = Predictor(Path(self.model.path), LIMITS.max_customers, application.metrics)
