"""What moto does with a call that it does not know."""

import json
from typing import Any

from moto.core.responses import BaseResponse

from simulated_aws.replacing import Method, replace


def refuse_unknown_calls() -> None:
    """AWS knows all its calls; moto answers 500 to one it lacks, and clients repeat it for minutes. Here it is 501."""

    def make(call: Method) -> Method:
        def call_action(self: Any) -> Any:
            try:
                return call(self)
            except NotImplementedError as error:
                print("not simulated:", self.service_name, error, flush=True)  # noqa: T201 - the server's log
                body = {"__type": "NotSimulated", "message": f"{self.service_name} {error}"}
                return 501, {"Content-Type": "application/json"}, json.dumps(body)

        return call_action

    replace(BaseResponse, "call_action", make)


PATCHES = (refuse_unknown_calls,)
