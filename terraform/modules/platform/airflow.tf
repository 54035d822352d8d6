locals {
  airflow_environment = merge(local.settings, {
    # tasks store nothing locally: their results go to S3, MLflow and PostgreSQL
    DEPOSIT_STATE_DIR = "/tmp/deposit"
    # Airflow uses two drivers, which configure TLS differently
    AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_CMD       = "/opt/deposit/.venv/bin/python -m deposit.deploy.rds_urls"
    AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC_CMD = "/opt/deposit/.venv/bin/python -m deposit.deploy.rds_urls --asynchronous"
    # the task's role suffices: no key and no connection
    AIRFLOW_CONN_AWS_DEFAULT                          = "aws://"
    AIRFLOW__CORE__DAGS_FOLDER                        = "/opt/deposit/dags"
    AIRFLOW__CORE__PLUGINS_FOLDER                     = "/opt/deposit/plugins"
    AIRFLOW__CORE__EXECUTOR                           = "airflow.providers.amazon.aws.executors.ecs.ecs_executor.AwsEcsExecutor"
    AIRFLOW__CORE__PARALLELISM                        = tostring(var.parallelism)
    AIRFLOW__CORE__LOAD_EXAMPLES                      = "False"
    AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION        = "False"
    AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS          = "admin:admin"
    AIRFLOW__CORE__EXECUTION_API_SERVER_URL           = "http://airflow.${local.domain}:${local.ports.airflow}/execution/"
    AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE = "/var/lib/airflow/passwords.json"
    AIRFLOW__AWS_ECS_EXECUTOR__CONN_ID                = "aws_default"
    AIRFLOW__AWS_ECS_EXECUTOR__REGION_NAME            = local.region
    AIRFLOW__AWS_ECS_EXECUTOR__CLUSTER                = var.cluster_name
    AIRFLOW__AWS_ECS_EXECUTOR__LAUNCH_TYPE            = "FARGATE"
    AIRFLOW__AWS_ECS_EXECUTOR__TASK_DEFINITION        = "${var.name}-airflow-worker"
    AIRFLOW__AWS_ECS_EXECUTOR__CONTAINER_NAME         = "airflow-worker"
    AIRFLOW__AWS_ECS_EXECUTOR__SUBNETS                = join(",", var.subnet_ids)
    AIRFLOW__AWS_ECS_EXECUTOR__SECURITY_GROUPS        = join(",", [aws_security_group.this.id, var.client_security_group_id])
    AIRFLOW__AWS_ECS_EXECUTOR__ASSIGN_PUBLIC_IP       = "False"
    AIRFLOW__API__BASE_URL                            = try("https://${var.hosts["airflow"]}", "http://airflow.${local.domain}:${local.ports.airflow}")
    AIRFLOW__API__WORKERS                             = "1"
    AIRFLOW__API__INSTANCE_NAME                       = var.name
    # a task that waits longer than its token's lifetime is killed
    AIRFLOW__EXECUTION_API__JWT_EXPIRATION_TIME       = "86400"
    AIRFLOW__LOGGING__REMOTE_LOGGING                  = "True"
    AIRFLOW__LOGGING__REMOTE_BASE_LOG_FOLDER          = "s3://${var.buckets.logs}/airflow"
    AIRFLOW__LOGGING__REMOTE_LOG_CONN_ID              = "aws_default"
    AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK           = "True"
    AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL          = "30"
    AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL = "60"
    AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES         = "1"
    AIRFLOW__USAGE_DATA_COLLECTION__ENABLED           = "False"
  })

  airflow_secrets = {
    DEPOSIT_DATABASE__AIRFLOW_URL = var.secret_arns["database/airflow-url"]
    AIRFLOW__CORE__FERNET_KEY     = var.secret_arns["airflow/fernet-key"]
    AIRFLOW__API_AUTH__JWT_SECRET = var.secret_arns["airflow/jwt-secret"]
    AIRFLOW__API__SECRET_KEY      = var.secret_arns["airflow/jwt-secret"]
  }

  # used by tasks and by the page in Airflow's UI
  deposit_secrets = {
    DEPOSIT_DATABASE__URL = var.secret_arns["database/url"]
    DEPOSIT_API__KEY      = var.secret_arns["api/airflow-key"]
  }

  airflow_part = {
    image       = var.images.airflow
    entry_point = null
    cpu         = 512
    memory      = 2048
    user        = 10001
    writable    = ["/tmp", "/var/lib/airflow"]
    port        = null
    environment = local.airflow_environment
    secrets     = local.airflow_secrets
    statements  = local.may_write.logs
  }

  # components without an HTTP server: Airflow's API server knows their last heartbeat
  beats = {
    for part in ["dag_processor", "triggerer"] : part => ["CMD", "python", "-c", join("", [
      "import json, sys, urllib.request as r; ",
      "parts = json.load(r.urlopen('http://airflow.${local.domain}:${local.ports.airflow}/api/v2/monitor/health', timeout=8)); ",
      "sys.exit(parts['${part}']['status'] != 'healthy')",
    ])]
  }

  airflow = {
    airflow-api-server = merge(local.airflow_part, {
      entry_point = ["sh", "-ec"]
      # its auth manager reads the passwords from a file
      command = ["umask 077 && printf %s \"$AIRFLOW_PASSWORDS\" > /var/lib/airflow/passwords.json && unset AIRFLOW_PASSWORDS && exec airflow api-server"]
      port    = local.ports.airflow
      secrets = merge(local.airflow_secrets, local.deposit_secrets, { AIRFLOW_PASSWORDS = var.secret_arns["airflow/passwords"] })
      health  = ["CMD", "python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:${local.ports.airflow}/api/v2/version', timeout=8)"]
      # the page Deposit opens reports and model cards
      statements = concat(local.may_write.logs, local.may_read.reports)
    })
    airflow-scheduler = merge(local.airflow_part, {
      command = ["scheduler"]
      health  = ["CMD", "python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8974/health', timeout=8)"]
      # may only start and stop workers
      statements = concat(local.may_write.logs, [
        {
          sid       = "RunWorkers"
          actions   = ["ecs:RunTask"]
          resources = ["arn:aws:ecs:${local.region}:${local.account}:task-definition/${var.name}-airflow-worker:*"]
          condition = { test = "ArnEquals", variable = "ecs:cluster", values = [var.cluster_arn] }
        },
        {
          sid       = "Workers"
          actions   = ["ecs:DescribeTasks", "ecs:StopTask"]
          resources = ["arn:aws:ecs:${local.region}:${local.account}:task/${var.cluster_name}/*"]
          condition = null
        },
        {
          sid       = "PassRoles"
          actions   = ["iam:PassRole"]
          resources = [aws_iam_role.execution["airflow-worker"].arn, aws_iam_role.task["airflow-worker"].arn]
          condition = { test = "StringEquals", variable = "iam:PassedToService", values = ["ecs-tasks.amazonaws.com"] }
        },
      ])
    })
    airflow-dag-processor = merge(local.airflow_part, {
      command = ["dag-processor"]
      health  = local.beats["dag_processor"]
    })
    airflow-triggerer = merge(local.airflow_part, {
      command = ["triggerer"]
      health  = local.beats["triggerer"]
      # waits for files in a bucket
      statements = concat(local.may_write.logs, local.may_read.data)
    })
  }

  # started by the scheduler, or once manually; not ECS services
  tasks = {
    airflow-worker = merge(local.airflow_part, {
      # the executor passes the whole command, but the image's entry point is `airflow`
      entry_point = ["/usr/bin/env"]
      command     = ["true"]
      cpu         = var.worker_cpu
      memory      = var.worker_memory
      health      = null
      secrets     = merge(local.airflow_secrets, local.deposit_secrets)
      statements  = concat(local.may_write.data, local.may_write.bentos, local.may_write.reports, local.may_write.logs)
    })
    migration = merge(local.airflow_part, {
      command    = ["db", "migrate"]
      health     = null
      statements = []
    })
    preparation = {
      image       = var.images.deposit
      entry_point = ["python", "-m", "deposit.deploy.rds"]
      command     = []
      cpu         = 512
      memory      = 1024
      user        = 10001
      writable    = ["/tmp"]
      port        = null
      environment = merge(local.settings, { DEPOSIT_SERVE__KEYS_SECRET_ID = var.secret_arns["api/keys"] })
      secrets = {
        DEPOSIT_API__KEY                  = var.secret_arns["api/airflow-key"]
        DEPOSIT_RELEASE__SERVICE_KEY      = var.secret_arns["api/releaser-key"]
        DEPOSIT_DATABASE__ADMIN_URL       = var.secret_arns["database/admin-url"]
        DEPOSIT_DATABASE__URL             = var.secret_arns["database/url"]
        DEPOSIT_DATABASE__WRITER_URL      = var.secret_arns["database/writer-url"]
        DEPOSIT_DATABASE__MLFLOW_URL      = var.secret_arns["database/mlflow-url"]
        DEPOSIT_DATABASE__AIRFLOW_URL     = var.secret_arns["database/airflow-url"]
        DEPOSIT_DATABASE__READER_PASSWORD = var.secret_arns["database/reader-password"]
      }
      health = null
      statements = [
        {
          sid       = "LookAtBuckets"
          actions   = ["s3:ListBucket"]
          resources = [for bucket in var.buckets : "arn:aws:s3:::${bucket}"]
          condition = null
        },
        {
          sid       = "AdmitKeys"
          actions   = ["secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue", "secretsmanager:UpdateSecretVersionStage"]
          resources = [var.secret_arns["api/keys"]]
          condition = null
        },
      ]
    }
  }
}
