variable "identifier" {
  description = "Name of the instance, and beginning of all names here"
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,18}[a-z0-9]$", var.identifier))
    error_message = "identifier is 3 to 20 lower-case letters, digits and hyphens, beginning with a letter."
  }
}

variable "engine_version" {
  description = "Major version of PostgreSQL; AWS applies minor ones"
  type        = string
  default     = "17"

  validation {
    condition     = can(regex("^[0-9]+$", var.engine_version)) && tonumber(var.engine_version) >= 15
    error_message = "engine_version is a major version of PostgreSQL, 15 or newer."
  }
}

variable "instance_class" {
  description = "Size of the instance"
  type        = string
  default     = "db.t4g.small"

  validation {
    condition     = startswith(var.instance_class, "db.")
    error_message = "instance_class begins with db., like db.t4g.small."
  }
}

variable "allocated_storage" {
  description = "GiB of disk at first"
  type        = number
  default     = 20

  validation {
    condition     = var.allocated_storage >= 20
    error_message = "allocated_storage is 20 or more, the least that RDS gives on gp3."
  }
}

variable "max_allocated_storage" {
  description = "GiB up to which the disk grows by itself"
  type        = number
  default     = 100

  validation {
    condition     = var.max_allocated_storage > var.allocated_storage
    error_message = "max_allocated_storage is more than allocated_storage: a full disk stops the database."
  }
}

variable "username" {
  description = "Name of the administrator"
  type        = string
  default     = "postgres"
}

variable "password" {
  description = "Password of the administrator; it is in no plan and in no state"
  type        = string
  ephemeral   = true
}

variable "password_version" {
  description = "A higher number sets the password anew"
  type        = number
  default     = 1

  validation {
    condition     = var.password_version >= 1 && floor(var.password_version) == var.password_version
    error_message = "password_version is a whole number from 1 on."
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
  description = "Security group of those who may connect"
  type        = string
}

variable "kms_key_arn" {
  description = "KMS key that encrypts disk, backups, logs and Performance Insights"
  type        = string
}

variable "multi_az" {
  description = "Whether a standby in another zone takes over"
  type        = bool
  default     = false
}

variable "backup_retention_period" {
  description = "Days back to any second of which the database can be restored"
  type        = number
  default     = 7

  validation {
    condition     = var.backup_retention_period >= 1 && var.backup_retention_period <= 35
    error_message = "backup_retention_period is 1 to 35: a database without backups is refused."
  }
}

variable "deletion_protection" {
  description = "Whether nobody can delete the instance before this is switched off"
  type        = bool
  default     = true
}

variable "skip_final_snapshot" {
  description = "Whether the instance goes without a last snapshot"
  type        = bool
  default     = false
}

variable "monitoring_interval" {
  description = "Seconds between two figures of the operating system; 0 means none"
  type        = number
  default     = 0

  validation {
    condition     = contains([0, 1, 5, 10, 15, 30, 60], var.monitoring_interval)
    error_message = "monitoring_interval is one of 0, 1, 5, 10, 15, 30, 60."
  }
}

variable "log_retention_in_days" {
  description = "Days for which PostgreSQL's log is kept"
  type        = number
  default     = 30

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731], var.log_retention_in_days)
    error_message = "log_retention_in_days is one of the periods that CloudWatch Logs knows, like 30 or 365."
  }
}

variable "apply_immediately" {
  description = "Whether changes are made at once, not in the maintenance window"
  type        = bool
  default     = false
}

variable "tags" {
  description = "Tags of everything here"
  type        = map(string)
  default     = {}
}
