data "terraform_remote_state" "foundation" {
  backend = "s3"
  config  = var.foundation
}

locals {
  base    = data.terraform_remote_state.foundation.outputs
  name    = local.base.name
  region  = local.base.region
  is_prod = local.base.environment == "prod"
  tags    = merge({ Project = "deposit", Environment = local.base.environment, State = "services" }, var.tags)
  days    = local.base.log_retention_in_days

  api_url     = "https://${var.domain_name}"
  catalog     = "s3://${local.base.buckets.bentos}/catalog.json"
  authorities = "/opt/deposit/authorities/rds.pem"

  # settings of the service on every target; a release adds its own
  serve_settings = {
    DEPOSIT_SERVE__KEYS_SECRET_ID = local.base.secret_arns["api/keys"]
    DEPOSIT_SERVE__CATALOG_URI    = local.catalog
  }
  # models by id, the catalog and the API keys
  read_objects = ["arn:aws:s3:::${local.base.buckets.mlflow}/*", "arn:aws:s3:::${local.base.buckets.bentos}/catalog.json"]
  read_buckets = ["arn:aws:s3:::${local.base.buckets.mlflow}"]
}

resource "aws_ecs_cluster" "this" {
  name = local.name

  setting {
    name  = "containerInsights"
    value = "enabled"
  }
}

module "serving" {
  source = "../modules/service"

  name             = "${local.name}-serving"
  cluster_arn      = aws_ecs_cluster.this.arn
  cluster_name     = aws_ecs_cluster.this.name
  container_image  = var.images.base
  shipper_image    = var.images.deposit
  repository_arns  = [local.base.repositories.serving.arn, local.base.repositories.deposit.arn]
  cpu              = var.serving_cpu
  memory           = var.serving_memory
  cpu_architecture = var.cpu_architecture

  environment = merge(local.serve_settings, {
    AWS_REGION            = local.region
    DEPOSIT_STATE_DIR     = "/var/lib/deposit"
    DEPOSIT_STORE__REGION = local.region
  })
  shipper_environment = {
    AWS_REGION                = local.region
    DEPOSIT_STATE_DIR         = "/var/lib/deposit"
    DEPOSIT_STORE__REGION     = local.region
    DEPOSIT_DATABASE__CA_FILE = local.authorities
    DEPOSIT_LOG__STOP_SECONDS = "30"
    DEPOSIT_LOG__HANDOVER_URI = "s3://${local.base.buckets.bentos}/spool/"
  }
  shipper_secrets      = { DEPOSIT_DATABASE__WRITER_URL = local.base.secret_arns["database/writer-url"] }
  readable_secret_arns = [local.base.secret_arns["api/keys"]]
  readable_object_arns = local.read_objects
  readable_bucket_arns = concat(local.read_buckets, ["arn:aws:s3:::${local.base.buckets.bentos}"])
  writable_object_arns = ["arn:aws:s3:::${local.base.buckets.bentos}/spool/*"]
  kms_key_arn          = local.base.kms_key_arn

  vpc_id                          = local.base.vpc_id
  subnet_ids                      = local.base.private_subnets
  client_security_group_id        = local.base.client_security_group_id
  load_balancer_security_group_id = aws_security_group.load_balancer.id
  listener_arn                    = aws_lb_listener.https.arn
  load_balancer_arn_suffix        = aws_lb.this.arn_suffix

  autoscaling_min_capacity               = var.autoscaling_min_capacity
  autoscaling_max_capacity               = var.autoscaling_max_capacity
  cloudwatch_log_group_retention_in_days = local.days
}

module "front" {
  source = "../modules/function"

  function_name                  = "${local.name}-front"
  image_uri                      = var.images.base
  image_config_entry_point       = ["python", "-m", "awslambdaric"]
  image_config_command           = ["lambda_handler.handler"]
  image_config_working_directory = "/bento/src"
  architectures                  = [lower(var.cpu_architecture)]
  reserved_concurrent_executions = var.front_reserved_concurrency

  environment_variables = merge(local.serve_settings, {
    DEPOSIT_STATE_DIR                   = "/tmp/deposit"
    DEPOSIT_STORE__REGION               = local.region
    DEPOSIT_LOG__DESTINATION            = "database"
    DEPOSIT_DATABASE__WRITER_URL_SECRET = local.base.secret_arns["database/writer-url"]
    DEPOSIT_DATABASE__CA_FILE           = local.authorities
  })
  readable_secret_arns = [local.base.secret_arns["api/keys"], local.base.secret_arns["database/writer-url"]]
  readable_object_arns = local.read_objects
  readable_bucket_arns = local.read_buckets
  kms_key_arn          = local.base.kms_key_arn

  vpc_subnet_ids                    = local.base.private_subnets
  vpc_security_group_ids            = [local.base.client_security_group_id]
  cloudwatch_logs_retention_in_days = local.days
}

module "platform" {
  source = "../modules/platform"

  name         = local.name
  cluster_arn  = aws_ecs_cluster.this.arn
  cluster_name = aws_ecs_cluster.this.name
  images       = var.images
  repositories = local.base.repositories
  buckets      = { for use, bucket in local.base.buckets : use => bucket if use != "access" }
  secret_arns  = local.base.secret_arns
  kms_key_arn  = local.base.kms_key_arn

  database_address                = local.base.database.address
  vpc_id                          = local.base.vpc_id
  subnet_ids                      = local.base.private_subnets
  client_security_group_id        = local.base.client_security_group_id
  load_balancer_security_group_id = aws_security_group.load_balancer.id
  listener_arn                    = aws_lb_listener.https.arn
  hosts                           = var.hosts
  api_url                         = local.api_url

  service = {
    name              = module.serving.service_name
    arn               = module.serving.service_arn
    family            = module.serving.task_definition_family
    role_arns         = module.serving.role_arns
    security_group_id = module.serving.security_group_id
    tasks             = var.autoscaling_min_capacity
  }
  function = {
    name  = module.front.lambda_function_name
    arn   = module.front.lambda_function_arn
    alias = module.front.lambda_alias_name
    url   = module.front.api_endpoint
  }
  release_target   = var.release_target
  serve_settings   = local.serve_settings
  settings         = var.settings
  cpu_architecture = var.cpu_architecture
  worker_cpu       = var.worker_cpu
  worker_memory    = var.worker_memory

  alert_webhook_url                      = var.alert_webhook_url
  cloudwatch_log_group_retention_in_days = local.days
}
