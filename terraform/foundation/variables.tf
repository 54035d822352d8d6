variable "environment" {
  description = "`dev` may be destroyed, `prod` is guarded against it"
  type        = string

  validation {
    condition     = contains(["dev", "prod"], var.environment)
    error_message = "environment is dev or prod."
  }
}

variable "name" {
  description = "Beginning of all names; null means `deposit-<environment>`"
  type        = string
  default     = null

  validation {
    condition     = var.name == null ? true : can(regex("^[a-z][a-z0-9-]{1,18}[a-z0-9]$", var.name))
    error_message = "name is 3 to 20 lower-case letters, digits and hyphens, beginning with a letter."
  }
}

variable "tags" {
  description = "Tags of everything, besides Project, Environment and State"
  type        = map(string)
  default     = {}
}

# --- network -------------------------------------------------------------------------------------------------------------
variable "cidr" {
  description = "IPv4 addresses of the VPC; subnets are cut from it"
  type        = string
  default     = "10.0.0.0/16"

  validation {
    condition     = can(cidrsubnet(var.cidr, 4, 15))
    error_message = "cidr is an IPv4 block like 10.0.0.0/16, /20 or larger."
  }
}

variable "zones" {
  description = "Availability zones that are used, the first ones of the region"
  type        = number
  default     = 2

  validation {
    condition     = var.zones >= 2 && var.zones <= 4
    error_message = "zones is 2 to 4: RDS and the load balancer need two."
  }
}

variable "public_subnets" {
  description = "Whether there are public subnets: for a load balancer that the internet reaches, and for the NAT gateway"
  type        = bool
}

variable "enable_nat_gateway" {
  description = "Private subnets reach AWS and the internet by one NAT gateway; without it, AWS alone by interface endpoints"
  type        = bool
}

# --- what is kept, and for how long ------------------------------------------------------------------------------------------
variable "log_retention_in_days" {
  description = "Days for which logs are kept"
  type        = number
  default     = 30
}

variable "noncurrent_version_expiration_days" {
  description = "Days for which a replaced or deleted object can be restored"
  type        = number
  default     = 30
}

variable "task_log_days" {
  description = "Days for which the logs of Airflow's tasks are kept"
  type        = number
  default     = 90
}

variable "keep_images" {
  description = "Images of each repository that are kept: the newest"
  type        = number
  default     = 100
}

# --- database ------------------------------------------------------------------------------------------------------------
variable "database_instance_class" {
  description = "Size of the database"
  type        = string
  default     = "db.t4g.small"
}

variable "database_allocated_storage" {
  description = "GiB of the database's disk at first"
  type        = number
  default     = 20
}

variable "database_max_allocated_storage" {
  description = "GiB up to which the database's disk grows by itself"
  type        = number
  default     = 100
}

variable "database_multi_az" {
  description = "Whether a standby in another zone takes over"
  type        = bool
  default     = false
}

variable "database_backup_retention_period" {
  description = "Days back to any second of which the database can be restored"
  type        = number
  default     = 7
}

variable "database_monitoring_interval" {
  description = "Seconds between two figures of the database's operating system; 0 means none"
  type        = number
  default     = 0
}

variable "secret_versions" {
  description = "A higher number renews a secret, by its name: `{ \"database/writer-url\" = 2 }`; docs/aws.md says what must follow"
  type        = map(number)
  default     = {}

  validation {
    condition     = length(setsubtract(keys(var.secret_versions), keys(local.secrets))) == 0
    error_message = "secret_versions names a secret that is not made here; the names are in secrets.tf."
  }
}

variable "key_administrators" {
  description = "ARNs of roles or users that may take the role that makes and revokes API keys; empty makes no such role"
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.key_administrators : startswith(arn, "arn:aws:iam::")])
    error_message = "key_administrators are ARNs of roles or users of IAM."
  }
}

# --- pipeline ------------------------------------------------------------------------------------------------------------
variable "github_repository" {
  description = "Repository on GitHub whose workflows may push images, plan and apply, as `owner/name`; empty makes nothing of it"
  type        = string
  default     = ""

  validation {
    condition     = var.github_repository == "" || can(regex("^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$", var.github_repository))
    error_message = "github_repository is empty or owner/name."
  }
}

variable "state_bucket" {
  description = "Bucket of the states, which the workflows' roles read and lock; needed with github_repository"
  type        = string
  default     = ""

  validation {
    condition     = var.github_repository == "" || var.state_bucket != ""
    error_message = "state_bucket is needed with github_repository: a plan reads and locks the state there."
  }
}

variable "create_github_provider" {
  description = "Whether GitHub's identity provider is made; an account can have it once, and dev and prod may share one"
  type        = bool
  default     = true
}
