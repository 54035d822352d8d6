data "aws_caller_identity" "current" {}

data "aws_region" "current" {}

locals {
  account = data.aws_caller_identity.current.account_id
  region  = data.aws_region.current.name
  domain  = "${var.name}.internal"
  ports   = { mlflow = 5000, airflow = 8080, grafana = 3000 }
  # services that the load balancer routes to by host name
  named = { mlflow = "mlflow", airflow = "airflow-api-server", grafana = "grafana" }

  settings = merge({
    AWS_REGION                    = local.region
    DEPOSIT_STORE__REGION         = local.region
    DEPOSIT_STORE__DATA_BUCKET    = var.buckets.data
    DEPOSIT_STORE__MLFLOW_BUCKET  = var.buckets.mlflow
    DEPOSIT_STORE__BENTOS_BUCKET  = var.buckets.bentos
    DEPOSIT_STORE__REPORTS_BUCKET = var.buckets.reports
    DEPOSIT_STORE__LOGS_BUCKET    = var.buckets.logs
    DEPOSIT_MLFLOW__TRACKING_URI  = "http://mlflow.${local.domain}:${local.ports.mlflow}"
    DEPOSIT_DATABASE__CA_FILE     = "/opt/deposit/authorities/rds.pem"
    DEPOSIT_API__URL              = var.api_url
    DEPOSIT_LINKS__API            = var.api_url
    DEPOSIT_RELEASE__TARGET       = var.release_target
  }, { for part, host in var.hosts : "DEPOSIT_LINKS__${upper(part)}" => "https://${host}" if part != "airflow" }, var.settings)

  # --- permissions on buckets --------------------------------------------------------------------------------------------
  may_read = {
    for use, bucket in var.buckets : use => [
      { sid = "List${title(use)}", actions = ["s3:ListBucket", "s3:GetBucketLocation"], resources = ["arn:aws:s3:::${bucket}"], condition = null },
      { sid = "Read${title(use)}", actions = ["s3:GetObject"], resources = ["arn:aws:s3:::${bucket}/*"], condition = null },
    ]
  }
  may_write = {
    for use, bucket in var.buckets : use => concat(local.may_read[use], [{
      sid       = "Write${title(use)}"
      actions   = ["s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]
      resources = ["arn:aws:s3:::${bucket}/*"]
      condition = null
    }])
  }

  services = merge(local.mlflow, local.grafana, local.releaser, local.airflow)
  parts    = merge(local.services, local.tasks)
}

resource "aws_cloudwatch_log_group" "this" {
  for_each = local.parts

  name              = "/deposit/${var.name}/${each.key}"
  retention_in_days = var.cloudwatch_log_group_retention_in_days
  kms_key_id        = var.kms_key_arn
  tags              = var.tags
}

resource "aws_ecs_task_definition" "this" {
  for_each = local.parts

  family                   = "${var.name}-${each.key}"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = each.value.cpu
  memory                   = each.value.memory
  execution_role_arn       = aws_iam_role.execution[each.key].arn
  task_role_arn            = aws_iam_role.task[each.key].arn
  container_definitions    = jsonencode(local.containers[each.key])
  tags                     = var.tags

  runtime_platform {
    cpu_architecture        = var.cpu_architecture
    operating_system_family = "LINUX"
  }

  dynamic "volume" {
    for_each = each.value.writable

    content {
      name = replace(trim(volume.value, "/"), "/", "-")
    }
  }
}

locals {
  logs = {
    for part in keys(local.parts) : part => {
      logDriver = "awslogs"
      options = {
        awslogs-group         = aws_cloudwatch_log_group.this[part].name
        awslogs-region        = local.region
        awslogs-stream-prefix = "task"
      }
    }
  }
  mounts = {
    for name, part in local.parts : name => [
      for path in part.writable : { sourceVolume = replace(trim(path, "/"), "/", "-"), containerPath = path, readOnly = false }
    ]
  }
  containers = {
    for name, part in local.parts : name => [
      {
        # Fargate creates volumes owned by root, but the service runs as another user
        name                   = "volumes"
        image                  = var.images.deposit
        essential              = false
        user                   = "0:0"
        readonlyRootFilesystem = true
        entryPoint             = ["sh", "-ec"]
        command                = ["chown ${part.user}:${part.user} ${join(" ", part.writable)} && chmod 1777 /tmp"]
        mountPoints            = local.mounts[name]
        logConfiguration       = local.logs[name]
      },
      merge(
        {
          name                   = name
          image                  = part.image
          essential              = true
          readonlyRootFilesystem = true
          linuxParameters        = { initProcessEnabled = true }
          dependsOn              = [{ containerName = "volumes", condition = "SUCCESS" }]
          environment            = [for variable, value in part.environment : { name = variable, value = value }]
          secrets                = [for variable, arn in part.secrets : { name = variable, valueFrom = arn }]
          stopTimeout            = 60
          mountPoints            = local.mounts[name]
          logConfiguration       = local.logs[name]
        },
        part.entry_point == null ? {} : { entryPoint = part.entry_point },
        try(length(part.command), 0) == 0 ? {} : { command = part.command },
        part.port == null ? {} : { portMappings = [{ containerPort = part.port, hostPort = part.port, protocol = "tcp" }] },
        part.health == null ? {} : { healthCheck = { command = part.health, interval = 30, timeout = 10, retries = 4, startPeriod = 120 } },
      ),
    ]
  }
}

resource "aws_ecs_service" "this" {
  for_each = local.services

  name            = "${var.name}-${each.key}"
  cluster         = var.cluster_arn
  task_definition = aws_ecs_task_definition.this[each.key].arn
  launch_type     = "FARGATE"
  desired_count   = 1
  # exactly one task of each service: the old one stops before the new one starts
  deployment_minimum_healthy_percent = 0
  deployment_maximum_percent         = 100
  health_check_grace_period_seconds  = contains(local.led_to, each.key) ? 180 : null
  enable_ecs_managed_tags            = true
  propagate_tags                     = "SERVICE"
  tags                               = var.tags

  # no circuit breaker, which would give up permanently: a service that waits for the preparation task or another service is retried
  network_configuration {
    subnets          = var.subnet_ids
    security_groups  = [aws_security_group.this.id, var.client_security_group_id]
    assign_public_ip = false
  }

  dynamic "service_registries" {
    for_each = { for name, part in local.named : name => part if part == each.key }

    content {
      registry_arn = aws_service_discovery_service.this[service_registries.key].arn
    }
  }

  dynamic "load_balancer" {
    for_each = { for name, host in var.hosts : name => host if local.named[name] == each.key }

    content {
      target_group_arn = aws_lb_target_group.this[load_balancer.key].arn
      container_name   = each.key
      container_port   = local.ports[load_balancer.key]
    }
  }

  # a target group without a listener rule is rejected, and a task without its policies does not start
  depends_on = [aws_lb_listener_rule.this, aws_iam_role_policy.execution, aws_iam_role_policy.task]
}
