"""A check for schemathesis, which loads it by SCHEMATHESIS_HOOKS: no answer shows the inside of the service."""

from typing import Any

import schemathesis

SIGNS = ("Traceback (most recent call last)", 'File "/', "site-packages")


@schemathesis.check
def no_stack_trace(_: schemathesis.CheckContext, response: schemathesis.Response, __: "schemathesis.Case[Any]") -> None:
    text = response.content.decode(errors="replace")
    signs = [sign for sign in SIGNS if sign in text]
    if signs:
        raise AssertionError(f"the answer has {signs[0]!r} in it")
