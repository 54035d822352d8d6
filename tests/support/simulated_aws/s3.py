"""Policies of buckets, which moto reads by their actions and resources alone."""

from typing import Any

from moto.iam.access_control import IAMPolicyStatement, PermissionResult

from simulated_aws.replacing import Method, replace

_WITHOUT_TLS = ("false", ["false"])


def take_loopback_for_tls() -> None:
    """AWS is asked by TLS; moto is asked on loopback without, and would deny what a policy denies without TLS."""

    def make(permitted: Method) -> Method:
        def is_action_permitted(self: Any, *arguments: Any, **named: Any) -> Any:
            condition = self._statement.get("Condition", {}).get("Bool", {})
            if condition.get("aws:SecureTransport") in _WITHOUT_TLS:
                return PermissionResult.NEUTRAL
            return permitted(self, *arguments, **named)

        return is_action_permitted

    replace(IAMPolicyStatement, "is_action_permitted", make)


PATCHES = (take_loopback_for_tls,)
