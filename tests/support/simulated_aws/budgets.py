"""Budgets: whom a notification goes to."""

import json
from typing import Any

from moto.budgets.responses import BudgetsResponse


def list_subscribers_of_notifications() -> None:
    """AWS tells whom a notification of a budget goes to; moto keeps them and has no call that gives them back."""

    def describe_subscribers_for_notification(self: Any) -> str:
        budget = self.backend.budgets[self._get_param("AccountId")][self._get_param("BudgetName")]
        asked = _key(self._get_param("Notification"))
        same = (each.subscribers for each in budget.notifications if _key(each.details) == asked)
        return json.dumps({"Subscribers": next(same, [])})

    method = describe_subscribers_for_notification
    setattr(BudgetsResponse, method.__name__, method)


def _key(notification: dict[str, Any]) -> tuple[str, str, float, str]:
    kind = notification.get("ThresholdType", "PERCENTAGE")
    return notification["NotificationType"], notification["ComparisonOperator"], float(notification["Threshold"]), kind


PATCHES = (list_subscribers_of_notifications,)
