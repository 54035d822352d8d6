data "aws_region" "current" {}

locals {
  port = 8000
  # the user in the images
  user  = 10001
  spool = "/var/lib/deposit/spool"
  log = {
    logDriver = "awslogs"
    options = {
      awslogs-group         = aws_cloudwatch_log_group.this.name
      awslogs-region        = data.aws_region.current.name
      awslogs-stream-prefix = "task"
    }
  }
  mounts = [
    { sourceVolume = "spool", containerPath = local.spool, readOnly = false },
    { sourceVolume = "tmp", containerPath = "/tmp", readOnly = false },
  ]

  containers = [
    {
      # Fargate creates volumes owned by root, but the other containers run as another user
      name                   = "volumes"
      image                  = var.shipper_image
      essential              = false
      user                   = "0:0"
      readonlyRootFilesystem = true
      entryPoint             = ["sh", "-ec"]
      command                = ["chown ${local.user}:${local.user} ${local.spool} && chmod 0750 ${local.spool} && chmod 1777 /tmp"]
      mountPoints            = local.mounts
      logConfiguration       = local.log
    },
    {
      # stops after the service, which depends on it, and ships the rest of the spool within its stop timeout
      name                   = "shipper"
      image                  = var.shipper_image
      essential              = false
      restartPolicy          = { enabled = true, restartAttemptPeriod = 60 }
      readonlyRootFilesystem = true
      linuxParameters        = { initProcessEnabled = true }
      command                = ["shipper"]
      environment            = [for name, value in merge({ DEPOSIT_HEARTBEAT_FILE = "/tmp/heartbeat" }, var.shipper_environment) : { name = name, value = value }]
      secrets                = [for name, arn in var.shipper_secrets : { name = name, valueFrom = arn }]
      dependsOn              = [{ containerName = "volumes", condition = "SUCCESS" }]
      stopTimeout            = 120
      mountPoints            = local.mounts
      logConfiguration       = local.log
      healthCheck            = { command = ["CMD-SHELL", "find /tmp/heartbeat -mmin -3 | grep -q ."], interval = 30, timeout = 10, retries = 4, startPeriod = 120 }
    },
    {
      name                   = "service"
      image                  = var.container_image
      essential              = true
      readonlyRootFilesystem = true
      linuxParameters        = { initProcessEnabled = true }
      portMappings           = [{ containerPort = local.port, hostPort = local.port, protocol = "tcp" }]
      environment            = [for name, value in var.environment : { name = name, value = value }]
      dependsOn = [
        { containerName = "volumes", condition = "SUCCESS" },
        { containerName = "shipper", condition = "START" },
      ]
      stopTimeout      = 120
      mountPoints      = local.mounts
      logConfiguration = local.log
      healthCheck = {
        command     = ["CMD", "python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:${local.port}/livez', timeout=4)"]
        interval    = 15
        timeout     = 5
        retries     = 4
        startPeriod = 60
      }
    },
  ]
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/deposit/${var.name}"
  retention_in_days = var.cloudwatch_log_group_retention_in_days
  kms_key_id        = var.kms_key_arn
  tags              = var.tags
}

# the first revision of its family: each release registers the next one
resource "aws_ecs_task_definition" "this" {
  family                   = var.name
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = var.cpu
  memory                   = var.memory
  execution_role_arn       = aws_iam_role.execution.arn
  task_role_arn            = aws_iam_role.task.arn
  container_definitions    = jsonencode(local.containers)
  tags                     = var.tags

  ephemeral_storage {
    size_in_gib = var.ephemeral_storage
  }

  runtime_platform {
    cpu_architecture        = var.cpu_architecture
    operating_system_family = "LINUX"
  }

  volume {
    name = "spool"
  }

  volume {
    name = "tmp"
  }
}

resource "aws_ecs_service" "this" {
  name            = var.name
  cluster         = var.cluster_arn
  task_definition = aws_ecs_task_definition.this.arn
  launch_type     = "FARGATE"
  # before the first release there is nothing to serve
  desired_count                      = 0
  deployment_minimum_healthy_percent = 100
  deployment_maximum_percent         = 200
  health_check_grace_period_seconds  = 120
  enable_ecs_managed_tags            = true
  propagate_tags                     = "SERVICE"
  tags                               = var.tags

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  network_configuration {
    subnets          = var.subnet_ids
    security_groups  = [aws_security_group.this.id, var.client_security_group_id]
    assign_public_ip = false
  }

  load_balancer {
    target_group_arn = aws_lb_target_group.this.arn
    container_name   = "service"
    container_port   = local.port
  }

  lifecycle {
    # a release changes the task definition; releases and autoscaling change the number of tasks
    ignore_changes = [task_definition, desired_count]
  }

  # a target group without a listener rule is rejected, and a task without its policies does not start
  depends_on = [aws_lb_listener_rule.this, aws_iam_role_policy.execution, aws_iam_role_policy.task]
}

# --- load balancer and network access --------------------------------------------------------------------------------------
resource "aws_lb_target_group" "this" {
  name                 = var.name
  vpc_id               = var.vpc_id
  target_type          = "ip"
  protocol             = "HTTP"
  port                 = local.port
  deregistration_delay = 30
  tags                 = var.tags

  health_check {
    path                = "/readyz"
    matcher             = "200"
    interval            = 10
    timeout             = 5
    healthy_threshold   = 2
    unhealthy_threshold = 3
  }
}

resource "aws_lb_listener_rule" "this" {
  listener_arn = var.listener_arn
  priority     = 49000
  tags         = var.tags

  action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.this.arn
  }

  condition {
    path_pattern {
      values = ["/*"]
    }
  }
}

resource "aws_security_group" "this" {
  name        = var.name
  description = "Tasks of ${var.name}"
  vpc_id      = var.vpc_id
  tags        = merge(var.tags, { Name = var.name })
}

resource "aws_vpc_security_group_ingress_rule" "from_load_balancer" {
  security_group_id            = aws_security_group.this.id
  description                  = "HTTP from the load balancer"
  referenced_security_group_id = var.load_balancer_security_group_id
  ip_protocol                  = "tcp"
  from_port                    = local.port
  to_port                      = local.port
}

resource "aws_vpc_security_group_egress_rule" "load_balancer_to_service" {
  security_group_id            = var.load_balancer_security_group_id
  description                  = "HTTP to ${var.name}"
  referenced_security_group_id = aws_security_group.this.id
  ip_protocol                  = "tcp"
  from_port                    = local.port
  to_port                      = local.port
}
