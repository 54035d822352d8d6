output "name" {
  description = "Prefix of all resource names"
  value       = local.name
}

output "environment" {
  description = "`dev` or `prod`"
  value       = var.environment
}

output "region" {
  description = "AWS region"
  value       = local.region
}

output "account_id" {
  description = "AWS account id"
  value       = local.account
}

output "log_retention_in_days" {
  description = "Log retention in days"
  value       = var.log_retention_in_days
}

output "kms_key_arn" {
  description = "The KMS key of all stored data"
  value       = aws_kms_key.this.arn
}

output "vpc_id" {
  description = "The VPC"
  value       = module.network.vpc_id
}

output "private_subnets" {
  description = "Subnets of tasks and functions"
  value       = module.network.private_subnets
}

output "public_subnets" {
  description = "Subnets of an internet-facing load balancer; may be empty"
  value       = module.network.public_subnets
}

output "client_security_group_id" {
  description = "Security group of tasks and functions, with access to AWS and the database"
  value       = module.network.client_security_group_id
}

output "has_nat_gateway" {
  description = "Whether tasks can reach the internet"
  value       = var.enable_nat_gateway
}

output "buckets" {
  description = "Names of the buckets by purpose"
  value = {
    data    = module.data.s3_bucket_id
    mlflow  = module.mlflow.s3_bucket_id
    bentos  = module.bentos.s3_bucket_id
    reports = module.reports.s3_bucket_id
    logs    = module.logs.s3_bucket_id
    access  = module.access.s3_bucket_id
  }
}

output "repositories" {
  description = "Repositories by image: address and ARN"
  value = {
    serving = { url = module.serving_images.repository_url, arn = module.serving_images.repository_arn, name = module.serving_images.repository_name }
    deposit = { url = module.deposit_images.repository_url, arn = module.deposit_images.repository_arn, name = module.deposit_images.repository_name }
    airflow = { url = module.airflow_images.repository_url, arn = module.airflow_images.repository_arn, name = module.airflow_images.repository_name }
    grafana = { url = module.grafana_images.repository_url, arn = module.grafana_images.repository_arn, name = module.grafana_images.repository_name }
  }
}

output "database" {
  description = "The database: identifier, host, port, resource id for IAM tokens"
  value = {
    identifier  = module.database.db_instance_identifier
    address     = module.database.db_instance_address
    port        = module.database.db_instance_port
    resource_id = module.database.db_instance_resource_id
  }
}

output "secret_arns" {
  description = "ARNs of the secrets by name; the values are only in Secrets Manager"
  value       = merge(module.secrets.secret_arns, module.derived_secrets.secret_arns)
}

output "keys_role_arn" {
  description = "The role that creates and revokes API keys with `deposit keys`; null without key_administrators"
  value       = one(aws_iam_role.keys[*].arn)
}

output "github_role_arns" {
  description = "Roles of the GitHub workflows: images, plan, apply; empty without github_repository"
  value       = { for name, role in aws_iam_role.github : name => role.arn }
}

output "settings" {
  description = "Settings for the environment of a user or a service of this deployment: `terraform output -raw settings`; no secrets"
  value       = join("", [for name, value in local.settings : "${name}=${value}\n"])
}

locals {
  settings = {
    AWS_REGION                    = local.region
    DEPOSIT_STORE__REGION         = local.region
    DEPOSIT_STORE__DATA_BUCKET    = module.data.s3_bucket_id
    DEPOSIT_STORE__MLFLOW_BUCKET  = module.mlflow.s3_bucket_id
    DEPOSIT_STORE__BENTOS_BUCKET  = module.bentos.s3_bucket_id
    DEPOSIT_STORE__REPORTS_BUCKET = module.reports.s3_bucket_id
    DEPOSIT_STORE__LOGS_BUCKET    = module.logs.s3_bucket_id
  }
}
