"""Entry point for AWS Lambda: the runtime imports `lambda_handler.handler`, which serves the Bento around this file.

BentoML itself is not imported: it would double the cold-start time and write to its home folder. An unpacked Bento is
a plain folder that can be read without it.
"""

import gc
import os
from pathlib import Path

from deposit.settings import service_settings
from serving.lambda_adapter import front_end

_BENTO = Path(__file__).resolve().parents[1]
_NAME, _, _VERSION = Path(__file__).with_name("model.tag").read_text().strip().partition(":")

# /tmp is the only writable folder of a function, and PostgreSQL the only log that outlives it
os.environ.setdefault("DEPOSIT_STATE_DIR", "/tmp/deposit")  # noqa: S108 - private to the function
os.environ.setdefault("DEPOSIT_LOG__DESTINATION", "database")

handler = front_end(service_settings(), _BENTO / "models" / _NAME / _VERSION)
# otherwise a full collection would traverse every object created at startup and delay a request
gc.collect()
gc.freeze()
