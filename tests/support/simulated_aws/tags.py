"""Tags of scalable targets and of budgets, which moto does not keep."""

import json
from collections.abc import Callable
from typing import Any

from moto.applicationautoscaling.responses import ApplicationAutoScalingResponse
from moto.budgets.responses import BudgetsResponse

from simulated_aws.replacing import Method, replace

Tags = dict[str, str]


def keep_tags_of_scalable_targets() -> None:
    """AWS keeps the tags a scalable target is registered with and lists them; moto has none of the calls about tags."""

    def registering(register: Method) -> Method:
        def register_scalable_target(self: Any) -> Any:
            answer = register(self)
            arn = json.loads(answer)["ScalableTargetARN"]
            _kept(self.applicationautoscaling_backend, arn).update(self._get_param("Tags") or {})
            return answer

        return register_scalable_target

    replace(ApplicationAutoScalingResponse, "register_scalable_target", registering)
    _add_calls(ApplicationAutoScalingResponse, "applicationautoscaling_backend", "Tags", "TagKeys", dict, dict)


def keep_tags_of_budgets() -> None:
    """AWS keeps a budget's tags; moto drops them and has none of the calls about them."""

    def creating(create: Method) -> Method:
        def create_budget(self: Any) -> Any:
            answer = create(self)
            name = self._get_param("Budget")["BudgetName"]
            arn = f"arn:aws:budgets::{self._get_param('AccountId')}:budget/{name}"
            _kept(self.backend, arn).update(_plain(self._get_param("ResourceTags") or []))
            return answer

        return create_budget

    replace(BudgetsResponse, "create_budget", creating)
    _add_calls(BudgetsResponse, "backend", "ResourceTags", "ResourceTagKeys", _plain, _pairs)


def _plain(pairs: list[dict[str, str]]) -> Tags:
    return {each["Key"]: each["Value"] for each in pairs}


def _pairs(tags: Tags) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _kept(backend: Any, arn: str) -> Tags:
    """Tags that live as long as the backend, which moto drops when it is reset."""
    all_tags: dict[str, Tags] = backend.__dict__.setdefault("kept_tags", {})
    return all_tags.setdefault(arn, {})


def _add_calls(
    response: type, backend: str, tags: str, keys: str, read: Callable[[Any], Tags], write: Callable[[Tags], Any]
) -> None:
    """The three calls about tags, with the names and the form that the service has for them."""

    def list_tags_for_resource(self: Any) -> str:
        return json.dumps({tags: write(_kept(getattr(self, backend), self._get_param("ResourceARN")))})

    def tag_resource(self: Any) -> str:
        _kept(getattr(self, backend), self._get_param("ResourceARN")).update(read(self._get_param(tags) or []))
        return "{}"

    def untag_resource(self: Any) -> str:
        kept = _kept(getattr(self, backend), self._get_param("ResourceARN"))
        for name in self._get_param(keys) or []:
            kept.pop(name, None)
        return "{}"

    for method in (list_tags_for_resource, tag_resource, untag_resource):
        setattr(response, method.__name__, method)


PATCHES = (keep_tags_of_scalable_targets, keep_tags_of_budgets)
