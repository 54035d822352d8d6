"""EC2: what a rule of a security group is for."""

from typing import Any

from moto.ec2.models.security_groups import SecurityGroupRule

from simulated_aws.replacing import Method, replace


def keep_descriptions_of_rules() -> None:
    """AWS gives the description of every rule; moto of those alone that name addresses."""

    def making(initialise: Method) -> Method:
        def init(self: Any, *arguments: Any, **names: Any) -> None:
            initialise(self, *arguments, **names)
            given = [each for each in (*arguments, *names.values()) if isinstance(each, dict)]
            self.kept_description = next((each["Description"] for each in given if "Description" in each), None)

        return init

    def reading(_: Any) -> property:
        return property(lambda self: self.ip_range.get("Description") or self.kept_description)

    replace(SecurityGroupRule, "__init__", making)
    replace(SecurityGroupRule, "description", reading)


PATCHES = (keep_descriptions_of_rules,)
