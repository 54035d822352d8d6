"""Lambda and API Gateway: what is kept of a function's configuration, and the state of a domain name."""

from typing import Any

from moto.apigatewayv2.models import DomainName
from moto.awslambda.models import LambdaFunction, LambdaStorage

from simulated_aws.replacing import Method, replace

_KEPT = ("DeadLetterConfig", "LoggingConfig")


def _given(spec: dict[str, Any]) -> dict[str, Any]:
    return {name: spec[name] for name in _KEPT if spec.get(name)}


def keep_dead_letters_and_logging_of_functions() -> None:
    """AWS keeps a function's dead-letter queue and logging configuration; moto drops both."""

    def initialising(initialise: Method) -> Method:
        def init(self: Any, *arguments: Any, **names: Any) -> None:
            initialise(self, *arguments, **names)
            spec = names.get("spec") or next(each for each in arguments if isinstance(each, dict))
            self.kept_configuration = _given(spec)

        return init

    def updating(update: Method) -> Method:
        def update_configuration(self: Any, updates: dict[str, Any], *arguments: Any, **names: Any) -> Any:
            self.kept_configuration = self.kept_configuration | _given(updates)
            return update(self, updates, *arguments, **names)

        return update_configuration

    def reading(read: Method) -> Method:
        def get_configuration(self: Any, *arguments: Any, **names: Any) -> dict[str, Any]:
            return {**read(self, *arguments, **names), **self.kept_configuration}

        return get_configuration

    replace(LambdaFunction, "__init__", initialising)
    replace(LambdaFunction, "update_configuration", updating)
    replace(LambdaFunction, "get_configuration", reading)


def leave_out_an_empty_image_configuration() -> None:
    """AWS gives no image configuration of a function without one; moto an empty one, which reads as a change."""

    def make(read: Method) -> Method:
        def get_configuration(self: Any, *arguments: Any, **names: Any) -> dict[str, Any]:
            configuration: dict[str, Any] = read(self, *arguments, **names)
            if not any((configuration.get("ImageConfigResponse") or {}).get("ImageConfig", {}).values()):
                configuration.pop("ImageConfigResponse", None)
            return configuration

        return get_configuration

    replace(LambdaFunction, "get_configuration", make)


def number_versions_on() -> None:
    """AWS gives no version's number twice; moto counts those that are left, and so gives a number that is in use."""

    def make(publish: Method) -> Method:
        given: dict[tuple[int, str], int] = {}

        def publish_version(self: Any, name_or_arn: str, description: str = "") -> Any:
            function = self.get_function_by_name_or_arn_forbid_qualifier(name_or_arn)
            versions = self._functions[function.function_name]["versions"]
            before, addresses = len(versions), dict(self._arns)
            published = publish(self, name_or_arn, description)
            if len(versions) == before:
                return published
            key = id(self), function.function_arn
            number = given[key] = max(given.get(key, 0), *(int(each.version) for each in versions[:-1]), 0) + 1
            published.set_version(number)
            self._arns.clear()
            self._arns.update({**addresses, published.function_arn: published})
            return published

        return publish_version

    replace(LambdaStorage, "publish_version", make)


def make_domain_names_available() -> None:
    """AWS makes an API's domain name AVAILABLE after minutes; moto's has no state, and the provider waits for one."""

    def make(read: Method) -> Method:
        def to_json(self: Any) -> dict[str, Any]:
            answer: dict[str, Any] = read(self)
            state = {
                "apiGatewayDomainName": "d-simulated.execute-api.eu-central-1.amazonaws.com",
                "hostedZoneId": "Z1U9ULNL0V5AJ3",
                "domainNameStatus": "AVAILABLE",
            }
            answer["domainNameConfigurations"] = [{**state, **each} for each in answer["domainNameConfigurations"]]
            if not answer.get("mutualTlsAuthentication"):
                answer.pop("mutualTlsAuthentication", None)
            return answer

        return to_json

    replace(DomainName, "to_json", make)


PATCHES = (
    keep_dead_letters_and_logging_of_functions,
    leave_out_an_empty_image_configuration,
    number_versions_on,
    make_domain_names_available,
)
