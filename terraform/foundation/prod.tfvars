# no connection to the internet: AWS through endpoints only, an internal load balancer; docs/aws.md has the cost
environment        = "prod"
public_subnets     = false
enable_nat_gateway = false

log_retention_in_days              = 365
noncurrent_version_expiration_days = 90
task_log_days                      = 400
keep_images                        = 200

database_instance_class          = "db.m7g.large"
database_allocated_storage       = 100
database_max_allocated_storage   = 500
database_multi_az                = true
database_backup_retention_period = 35
database_monitoring_interval     = 60
