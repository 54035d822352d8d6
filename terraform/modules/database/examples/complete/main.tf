variable "password" {
  description = "Password of the administrator"
  type        = string
  ephemeral   = true
  default     = "for a plan"
}

module "database" {
  source = "../.."

  identifier               = "example"
  instance_class           = "db.m7g.large"
  multi_az                 = true
  backup_retention_period  = 35
  monitoring_interval      = 60
  password                 = var.password
  vpc_id                   = "vpc-11111111"
  subnet_ids               = ["subnet-11111111", "subnet-22222222"]
  client_security_group_id = "sg-11111111"
  kms_key_arn              = "arn:aws:kms:eu-central-1:123456789012:key/11111111-1111-1111-1111-111111111111"
  tags                     = { Team = "marketing" }
}

output "address" {
  value = module.database.db_instance_address
}
