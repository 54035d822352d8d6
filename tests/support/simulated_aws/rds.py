"""RDS: what the provider reads back of an instance and of its parameters."""

import hashlib
from typing import Any

from moto.rds.models import DBInstance, DBParameterGroup
from moto.rds.responses import RDSResponse

from simulated_aws.replacing import Method, replace

_INSIGHTS = {
    "EnablePerformanceInsights": "performance_insights_enabled",
    "PerformanceInsightsKMSKeyId": "performance_insights_kms_key_id",
    "PerformanceInsightsRetentionPeriod": "performance_insights_retention_period",
}


def mark_parameters_as_the_users() -> None:
    """AWS says of a parameter that a user set it (`Source`); moto does not, and the provider reads none back."""

    def make(update: Method) -> Method:
        def update_parameters(self: Any, new_parameters: list[dict[str, Any]]) -> None:
            update(self, [{**each, "Source": "user"} for each in new_parameters])

        return update_parameters

    replace(DBParameterGroup, "update_parameters", make)


def keep_performance_insights() -> None:
    """AWS keeps whether an instance has Performance Insights, its key and its retention; moto drops all three."""

    def make(method: Method) -> Method:
        def keeping(self: Any) -> Any:
            answer = method(self)
            instance = self.backend.describe_db_instances(self.params.get("DBInstanceIdentifier"))[0]
            for parameter, attribute in _INSIGHTS.items():
                if self.params.get(parameter) is not None:
                    setattr(instance, attribute, self.params[parameter])
            return answer

        return keeping

    replace(RDSResponse, "create_db_instance", make)
    replace(RDSResponse, "modify_db_instance", make)


def give_each_instance_its_own_resource_id() -> None:
    """AWS gives each instance a `DbiResourceId` of its own; moto gives all the same, by which the provider looks."""

    def make(initialise: Method) -> Method:
        def init(self: Any, *arguments: Any, **names: Any) -> None:
            initialise(self, *arguments, **names)
            digest = hashlib.sha256(self.db_instance_identifier.encode()).hexdigest()
            self.dbi_resource_id = f"db-{digest[:26].upper()}"

        return init

    replace(DBInstance, "__init__", make)


PATCHES = (mark_parameters_as_the_users, keep_performance_insights, give_each_instance_its_own_resource_id)
