locals {
  releaser = {
    releaser = {
      image       = var.images.deposit
      entry_point = null
      command     = ["releaser"]
      cpu         = 512
      memory      = 2048
      user        = 10001
      writable    = ["/tmp", "/var/lib/deposit"]
      port        = null
      environment = merge(local.settings, var.serve_settings, {
        DEPOSIT_STATE_DIR                = "/var/lib/deposit"
        DEPOSIT_HEARTBEAT_FILE           = "/tmp/heartbeat"
        DEPOSIT_RELEASE__ECS_CLUSTER     = var.cluster_name
        DEPOSIT_RELEASE__ECS_SERVICE     = var.service.name
        DEPOSIT_RELEASE__ECS_URL         = var.api_url
        DEPOSIT_RELEASE__ECS_TASKS       = tostring(var.service.tasks)
        DEPOSIT_RELEASE__LAMBDA_FUNCTION = var.function.name
        DEPOSIT_RELEASE__LAMBDA_ALIAS    = var.function.alias
        DEPOSIT_RELEASE__LAMBDA_URL      = var.function.url
        DEPOSIT_RELEASE__ECR_REPOSITORY  = var.repositories.serving.url
        DEPOSIT_RELEASE__BASE_IMAGE      = var.images.base
        DEPOSIT_RELEASE__ARCHITECTURE    = var.cpu_architecture == "ARM64" ? "arm64" : "amd64"
        DEPOSIT_RELEASE__POLL_SECONDS    = "5"
        # a Fargate task takes a minute to start
        DEPOSIT_RELEASE__START_TIMEOUT = "180"
      })
      secrets = {
        DEPOSIT_DATABASE__URL        = var.secret_arns["database/url"]
        DEPOSIT_RELEASE__SERVICE_KEY = var.secret_arns["api/releaser-key"]
      }
      health = ["CMD-SHELL", "find /tmp/heartbeat -mmin -3 | grep -q ."]
      # the only service that may change releases
      statements = concat(
        local.may_read.mlflow,
        local.may_write.bentos,
        [
          {
            sid       = "Service"
            actions   = ["ecs:DescribeServices", "ecs:UpdateService"]
            resources = [var.service.arn]
            condition = null
          },
          {
            sid       = "TestTasks"
            actions   = ["ecs:RunTask"]
            resources = ["arn:aws:ecs:${local.region}:${local.account}:task-definition/${var.service.family}:*"]
            condition = { test = "ArnEquals", variable = "ecs:cluster", values = [var.cluster_arn] }
          },
          {
            sid       = "Tasks"
            actions   = ["ecs:DescribeTasks", "ecs:StopTask"]
            resources = ["arn:aws:ecs:${local.region}:${local.account}:task/${var.cluster_name}/*"]
            condition = null
          },
          {
            # the action supports only container instances as resources, which Fargate does not have
            sid       = "ListTasks"
            actions   = ["ecs:ListTasks"]
            resources = ["*"]
            condition = { test = "ArnEquals", variable = "ecs:cluster", values = [var.cluster_arn] }
          },
          {
            # ECS supports no resources for these actions
            sid       = "TaskDefinitions"
            actions   = ["ecs:DescribeTaskDefinition", "ecs:ListTaskDefinitions", "ecs:DeregisterTaskDefinition"]
            resources = ["*"]
            condition = null
          },
          {
            sid       = "RegisterAndTag"
            actions   = ["ecs:RegisterTaskDefinition", "ecs:TagResource"]
            resources = ["arn:aws:ecs:${local.region}:${local.account}:task-definition/${var.service.family}:*"]
            condition = null
          },
          {
            sid       = "PassRoles"
            actions   = ["iam:PassRole"]
            resources = var.service.role_arns
            condition = { test = "StringEquals", variable = "iam:PassedToService", values = ["ecs-tasks.amazonaws.com"] }
          },
          {
            # a token is for the account, not for a repository
            sid       = "SignIn"
            actions   = ["ecr:GetAuthorizationToken"]
            resources = ["*"]
            condition = null
          },
          {
            sid = "Images"
            actions = [
              "ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:CompleteLayerUpload", "ecr:DescribeImages",
              "ecr:GetDownloadUrlForLayer", "ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:UploadLayerPart",
            ]
            resources = [var.repositories.serving.arn]
            condition = null
          },
          {
            sid = "Function"
            actions = [
              "lambda:CreateAlias", "lambda:DeleteAlias", "lambda:GetAlias", "lambda:GetFunction", "lambda:GetFunctionConfiguration",
              "lambda:ListAliases", "lambda:ListVersionsByFunction", "lambda:PublishVersion", "lambda:UpdateAlias", "lambda:UpdateFunctionCode",
            ]
            resources = [var.function.arn, "${var.function.arn}:*"]
            condition = null
          },
          {
            # versions without an alias, but not the function itself
            sid       = "VersionsOfTheFunction"
            actions   = ["lambda:DeleteFunction"]
            resources = ["${var.function.arn}:*"]
            condition = null
          },
          {
            sid       = "TestVersions"
            actions   = ["lambda:InvokeFunction"]
            resources = ["${var.function.arn}:*"]
            condition = null
          },
        ],
      )
    }
  }
}
