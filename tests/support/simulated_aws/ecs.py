"""ECS: services whose deployments come to an end, and tasks that have every container and exit codes."""

import uuid
from datetime import UTC, datetime
from random import randint
from types import SimpleNamespace
from typing import Any

from moto.core.utils import camelcase_to_underscores
from moto.ecs import models
from moto.ecs.models import Container, EC2ContainerServiceBackend, Task
from moto.ecs.responses import EC2ContainerServiceResponse

from simulated_aws.replacing import Method, replace

NEVER_HEALTHY = "dead"
"""An image whose digest ends so never becomes healthy, and its tasks exit with 1."""

_DROPPED = (
    "healthCheckGracePeriodSeconds",
    "availabilityZoneRebalancing",
    "enableExecuteCommand",
    "deploymentConfiguration",
    "enableECSManagedTags",
    "capacityProviderStrategy",
)


def keep_fields_of_services() -> None:
    """AWS keeps all that a service is created with; moto drops six fields, among them the circuit breaker."""

    def make(create: Method) -> Method:
        def create_service(self: Any) -> Any:
            answer = create(self)
            for name in _DROPPED:
                if self._get_param(name) is not None:
                    setattr(answer.result["service"], camelcase_to_underscores(name), self._get_param(name))
            return answer

        return create_service

    replace(EC2ContainerServiceResponse, "create_service", make)


def finish_deployments() -> None:
    """AWS starts tasks until a deployment is complete, or the circuit breaker rolls it back; moto's never moves.

    Here it has ended when the call returns: complete, or, with an image that never becomes healthy, failed and rolled
    back to the task definition before. This is a model of AWS that was not checked against AWS.
    """

    def creating(create: Method) -> Method:
        def create_service(self: Any) -> Any:
            answer = create(self)
            if answer.result["service"].task_definition:
                _settle(self.ecs_backend, answer.result["service"], None)
            return answer

        return create_service

    def updating(update: Method) -> Method:
        def update_service(self: Any) -> Any:
            cluster, name = self._get_param("cluster", "default"), self._get_param("service")
            before = [each.task_definition for each in self.ecs_backend.describe_services(cluster, [name])[0]]
            answer = update(self)
            asked = ("taskDefinition", "forceNewDeployment", "desiredCount")
            if any(self._get_param(each) is not None for each in asked):
                _settle(self.ecs_backend, answer.result["service"], before[0] if before else None)
            return answer

        return update_service

    replace(EC2ContainerServiceResponse, "create_service", creating)
    replace(EC2ContainerServiceResponse, "update_service", updating)


def _settle(backend: Any, service: Any, before: str | None) -> None:
    definition = backend.describe_task_definition(service.task_definition)
    service.running_count, service.pending_count = service.desired_count, 0
    breaker = (getattr(service, "deployment_configuration", None) or {}).get("deploymentCircuitBreaker") or {}
    if not any(_never_healthy(each) for each in definition.container_definitions):
        service.deployments = [_deployment(service, definition.arn, "COMPLETED")]
    elif breaker.get("rollback") and before:
        failed = _deployment(service, definition.arn, "FAILED", "ACTIVE")
        service.task_definition = before
        service.deployments = [_deployment(service, before, "COMPLETED"), failed]
    else:
        service.deployments = [_deployment(service, definition.arn, "FAILED")]
        service.running_count = 0


def _never_healthy(container: dict[str, Any]) -> bool:
    return bool(container.get("image", "").endswith(NEVER_HEALTHY))


def _deployment(service: Any, definition: str, rollout: str, status: str = "PRIMARY") -> dict[str, Any]:
    now, complete = datetime.now(UTC), rollout == "COMPLETED"
    return {
        "id": f"ecs-svc/{uuid.uuid4().int % 10**19}",
        "status": status,
        "taskDefinition": definition,
        "desiredCount": service.desired_count,
        "runningCount": service.desired_count if complete else 0,
        "pendingCount": 0,
        "failedTasks": 0 if complete else 3,
        "rolloutState": rollout,
        "rolloutStateReason": f"ECS deployment {rollout.lower()}.",
        "launchType": service.launch_type,
        "platformVersion": service.platform_version,
        "networkConfiguration": service.network_configuration,
        "createdAt": now,
        "updatedAt": now,
    }


def run_tasks_without_memory_of_containers() -> None:
    """Fargate needs memory of the task alone; moto fails where a container of it names none."""

    def calculate(definition: Any) -> Any:
        containers = [{"memory": 1, **each} for each in definition.container_definitions]
        return original(SimpleNamespace(container_definitions=containers))

    original: Method = EC2ContainerServiceBackend._calculate_task_resource_requirements
    replace(EC2ContainerServiceBackend, "_calculate_task_resource_requirements", lambda _: staticmethod(calculate))


def list_all_containers_of_tasks() -> None:
    """AWS lists every container of a task; moto the first alone."""

    def make(initialise: Method) -> Method:
        def init(self: Any, cluster: Any, task_definition: Any, *arguments: Any, **names: Any) -> None:
            initialise(self, cluster, task_definition, *arguments, **names)
            self.containers = [_container(task_definition, each) for each in task_definition.container_definitions]

        return init

    replace(Task, "__init__", make)


def _container(task_definition: Any, container: dict[str, Any]) -> Any:
    make: Any = Container
    return make(SimpleNamespace(arn=task_definition.arn, container_definitions=[container]))


def give_exit_codes_of_stopped_tasks() -> None:
    """AWS gives the exit code of a container that has stopped; moto 0, even while it runs. Here the image decides."""

    def make(describe: Method) -> Method:
        def describe_tasks(self: Any, *arguments: Any, **names: Any) -> list[Any]:
            tasks: list[Any] = describe(self, *arguments, **names)
            for task in tasks:
                stopped = task.last_status == "STOPPED"
                for container in task.containers:
                    failed = (container.image or "").endswith(NEVER_HEALTHY)
                    container.last_status = task.last_status
                    container.exitCode = int(failed) if stopped else None
                if stopped:
                    task.stop_code, task.desired_status = "EssentialContainerExited", "STOPPED"
            return tasks

        return describe_tasks

    replace(EC2ContainerServiceBackend, "describe_tasks", make)


def give_tasks_an_address_on_loopback() -> None:
    """AWS gives a task an address of its subnet; moto one that leads nowhere. Here a test can listen at it."""
    name = "random_private_ip"
    setattr(models, name, lambda: f"127.{randint(1, 254)}.{randint(1, 254)}.{randint(1, 254)}")


PATCHES = (
    give_tasks_an_address_on_loopback,
    keep_fields_of_services,
    finish_deployments,
    run_tasks_without_memory_of_containers,
    list_all_containers_of_tasks,
    give_exit_codes_of_stopped_tasks,
)
