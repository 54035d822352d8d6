"""What AWS Lambda's runtime imports: `lambda_handler.handler`, around the Bento that this file lies in.

Without BentoML, which would double the time of a cold start and write to its home: what it packaged is a folder.
"""

import gc
import os
from pathlib import Path

from deposit.settings import service_settings
from serving.lambda_adapter import front_end

_BENTO = Path(__file__).resolve().parents[1]
_NAME, _, _VERSION = Path(__file__).with_name("model.tag").read_text().strip().partition(":")

# the one folder of a function that can be written to, and the one log that outlives it
os.environ.setdefault("DEPOSIT_STATE_DIR", "/tmp/deposit")  # noqa: S108 - the function's own
os.environ.setdefault("DEPOSIT_LOG__DESTINATION", "database")

handler = front_end(service_settings(), _BENTO / "models" / _NAME / _VERSION)
# a full collection would walk through all that the start made, and hold a request up
gc.collect()
gc.freeze()
