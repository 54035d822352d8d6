data "aws_caller_identity" "current" {}

data "aws_region" "current" {}

data "aws_availability_zones" "available" {
  state = "available"

  filter {
    name   = "opt-in-status"
    values = ["opt-in-not-required"]
  }
}

locals {
  name    = coalesce(var.name, "deposit-${var.environment}")
  is_prod = var.environment == "prod"
  account = data.aws_caller_identity.current.account_id
  region  = data.aws_region.current.name
  tags    = merge({ Project = "deposit", Environment = var.environment, State = "foundation" }, var.tags)

  zones = slice(data.aws_availability_zones.available.names, 0, var.zones)
  # endpoints for AWS calls of tasks and functions, and for their images, logs and secrets
  services = ["ecr.api", "ecr.dkr", "ecs", "lambda", "logs", "secretsmanager"]
}

# no AWS resource: while it exists, `terraform destroy` of this state and a change from prod to dev are refused
resource "terraform_data" "guard" {
  count = local.is_prod ? 1 : 0

  lifecycle {
    prevent_destroy = true
  }
}

module "network" {
  source = "../modules/network"

  name                       = local.name
  cidr                       = var.cidr
  azs                        = local.zones
  private_subnets            = [for index in range(var.zones) : cidrsubnet(var.cidr, 4, index)]
  public_subnets             = var.public_subnets ? [for index in range(var.zones) : cidrsubnet(var.cidr, 8, 128 + index)] : []
  enable_nat_gateway         = var.enable_nat_gateway
  interface_endpoints        = var.enable_nat_gateway ? [] : local.services
  flow_log_retention_in_days = var.log_retention_in_days
  kms_key_arn                = aws_kms_key.this.arn
}

module "database" {
  source = "../modules/database"

  identifier               = local.name
  instance_class           = var.database_instance_class
  allocated_storage        = var.database_allocated_storage
  max_allocated_storage    = var.database_max_allocated_storage
  multi_az                 = var.database_multi_az
  backup_retention_period  = var.database_backup_retention_period
  monitoring_interval      = var.database_monitoring_interval
  deletion_protection      = local.is_prod
  skip_final_snapshot      = !local.is_prod
  log_retention_in_days    = var.log_retention_in_days
  kms_key_arn              = aws_kms_key.this.arn
  vpc_id                   = module.network.vpc_id
  subnet_ids               = module.network.private_subnets
  client_security_group_id = module.network.client_security_group_id
  # the value as written, not as generated, so that an apply that is interrupted between the two leaves them equal
  password         = ephemeral.aws_secretsmanager_secret_version.admin.secret_string
  password_version = lookup(var.secret_versions, "database/admin-password", 1)
}
