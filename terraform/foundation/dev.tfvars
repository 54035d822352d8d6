# for evaluation: a NAT gateway in one zone, a small database, no protection against destruction
environment        = "dev"
public_subnets     = true
enable_nat_gateway = true

log_retention_in_days              = 7
noncurrent_version_expiration_days = 7
task_log_days                      = 14
keep_images                        = 30

database_instance_class          = "db.t4g.micro"
database_backup_retention_period = 1
