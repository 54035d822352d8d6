variable "identifier" {
  description = "Name of the instance, and prefix of all resource names of this module"
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,18}[a-z0-9]$", var.identifier))
    error_message = "identifier must be 3 to 20 lower-case letters, digits and hyphens, beginning with a letter."
  }
}

variable "engine_version" {
  description = "Major version of PostgreSQL; AWS applies minor versions"
  type        = string
  default     = "17"

  validation {
    condition     = can(regex("^[0-9]+$", var.engine_version)) && tonumber(var.engine_version) >= 15
    error_message = "engine_version must be a major version of PostgreSQL, 15 or newer."
  }
}

variable "instance_class" {
  description = "Instance class"
  type        = string
  default     = "db.t4g.small"

  validation {
    condition     = startswith(var.instance_class, "db.")
    error_message = "instance_class must begin with db., like db.t4g.small."
  }
}

variable "allocated_storage" {
  description = "Initial disk size in GiB"
  type        = number
  default     = 20

  validation {
    condition     = var.allocated_storage >= 20
    error_message = "allocated_storage must be 20 or more, the minimum of RDS on gp3."
  }
}

variable "max_allocated_storage" {
  description = "Size in GiB up to which the disk grows automatically"
  type        = number
  default     = 100

  validation {
    condition     = var.max_allocated_storage > var.allocated_storage
    error_message = "max_allocated_storage must be more than allocated_storage: a full disk stops the database."
  }
}

variable "username" {
  description = "Name of the administrator"
  type        = string
  default     = "postgres"
}

variable "password" {
  description = "Password of the administrator; never stored in a plan or state"
  type        = string
  ephemeral   = true
}

variable "password_version" {
  description = "Version of the password; a higher number sets it again"
  type        = number
  default     = 1

  validation {
    condition     = var.password_version >= 1 && floor(var.password_version) == var.password_version
    error_message = "password_version must be a whole number from 1 on."
  }
}

variable "vpc_id" {
  description = "VPC of the instance"
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets of two or more zones"
  type        = list(string)
}

variable "client_security_group_id" {
  description = "Security group whose members may connect"
  type        = string
}

variable "kms_key_arn" {
  description = "KMS key that encrypts disk, backups, logs and Performance Insights"
  type        = string
}

variable "multi_az" {
  description = "Whether to run a standby in another zone"
  type        = bool
  default     = false
}

variable "backup_retention_period" {
  description = "Backup retention in days; the database can be restored to any second of them"
  type        = number
  default     = 7

  validation {
    condition     = var.backup_retention_period >= 1 && var.backup_retention_period <= 35
    error_message = "backup_retention_period must be 1 to 35: a database without backups is not allowed."
  }
}

variable "deletion_protection" {
  description = "Whether the instance is protected against deletion"
  type        = bool
  default     = true
}

variable "skip_final_snapshot" {
  description = "Whether to skip the final snapshot on deletion"
  type        = bool
  default     = false
}

variable "monitoring_interval" {
  description = "Interval of enhanced monitoring in seconds; 0 disables it"
  type        = number
  default     = 0

  validation {
    condition     = contains([0, 1, 5, 10, 15, 30, 60], var.monitoring_interval)
    error_message = "monitoring_interval must be one of 0, 1, 5, 10, 15, 30, 60."
  }
}

variable "log_retention_in_days" {
  description = "Retention of PostgreSQL's log in days"
  type        = number
  default     = 30

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731], var.log_retention_in_days)
    error_message = "log_retention_in_days must be a period that CloudWatch Logs supports, such as 30 or 365."
  }
}

variable "apply_immediately" {
  description = "Whether to apply changes immediately, not in the maintenance window"
  type        = bool
  default     = false
}

variable "tags" {
  description = "Tags of all resources of this module"
  type        = map(string)
  default     = {}
}
