variable "environment" {
  description = "`dev` can be destroyed, `prod` is protected against it"
  type        = string

  validation {
    condition     = contains(["dev", "prod"], var.environment)
    error_message = "environment must be dev or prod."
  }
}

variable "name" {
  description = "Prefix of all resource names; null means `deposit-<environment>`"
  type        = string
  default     = null

  validation {
    condition     = var.name == null ? true : can(regex("^[a-z][a-z0-9-]{1,18}[a-z0-9]$", var.name))
    error_message = "name must be 3 to 20 lower-case letters, digits and hyphens, beginning with a letter."
  }
}

variable "tags" {
  description = "Tags of all resources, in addition to Project, Environment and State"
  type        = map(string)
  default     = {}
}

# --- network -------------------------------------------------------------------------------------------------------------
variable "cidr" {
  description = "IPv4 block of the VPC; subnets are carved from it"
  type        = string
  default     = "10.0.0.0/16"

  validation {
    condition     = can(cidrsubnet(var.cidr, 4, 15))
    error_message = "cidr must be an IPv4 block like 10.0.0.0/16, /20 or larger."
  }
}

variable "zones" {
  description = "Number of availability zones; the first ones of the region are used"
  type        = number
  default     = 2

  validation {
    condition     = var.zones >= 2 && var.zones <= 4
    error_message = "zones must be 2 to 4: RDS and the load balancer need two."
  }
}

variable "public_subnets" {
  description = "Whether to create public subnets, for an internet-facing load balancer and for the NAT gateway"
  type        = bool
}

variable "enable_nat_gateway" {
  description = "Whether private subnets reach AWS and the internet through one NAT gateway; otherwise they reach only AWS, through interface endpoints"
  type        = bool
}

# --- retention ---------------------------------------------------------------------------------------------------------------
variable "log_retention_in_days" {
  description = "Log retention in days"
  type        = number
  default     = 30
}

variable "noncurrent_version_expiration_days" {
  description = "Days during which a replaced or deleted object can be restored"
  type        = number
  default     = 30
}

variable "task_log_days" {
  description = "Retention of Airflow's task logs in days"
  type        = number
  default     = 90
}

variable "keep_images" {
  description = "Number of images to keep in each repository, newest first"
  type        = number
  default     = 100
}

# --- database ------------------------------------------------------------------------------------------------------------
variable "database_instance_class" {
  description = "Instance class of the database"
  type        = string
  default     = "db.t4g.small"
}

variable "database_allocated_storage" {
  description = "Initial size of the database's disk in GiB"
  type        = number
  default     = 20
}

variable "database_max_allocated_storage" {
  description = "Size in GiB up to which the database's disk grows automatically"
  type        = number
  default     = 100
}

variable "database_multi_az" {
  description = "Whether to run a standby in another zone"
  type        = bool
  default     = false
}

variable "database_backup_retention_period" {
  description = "Backup retention in days; the database can be restored to any second of them"
  type        = number
  default     = 7
}

variable "database_monitoring_interval" {
  description = "Interval of the database's enhanced monitoring in seconds; 0 disables it"
  type        = number
  default     = 0
}

variable "secret_versions" {
  description = "Versions of secrets by name; a higher number replaces the secret: `{ \"database/writer-url\" = 2 }`; docs/aws.md lists the next steps"
  type        = map(number)
  default     = {}

  validation {
    condition     = length(setsubtract(keys(var.secret_versions), keys(local.secrets))) == 0
    error_message = "secret_versions names an unknown secret; the names are in secrets.tf."
  }
}

variable "key_administrators" {
  description = "ARNs of roles or users that may assume the role that creates and revokes API keys; if empty, the role is not created"
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.key_administrators : startswith(arn, "arn:aws:iam::")])
    error_message = "key_administrators must be ARNs of roles or users of IAM."
  }
}

# --- pipeline ------------------------------------------------------------------------------------------------------------
variable "github_repository" {
  description = "GitHub repository whose workflows may push images, plan and apply, as `owner/name`; if empty, no roles are created for it"
  type        = string
  default     = ""

  validation {
    condition     = var.github_repository == "" || can(regex("^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$", var.github_repository))
    error_message = "github_repository must be empty or owner/name."
  }
}

variable "state_bucket" {
  description = "Bucket of the Terraform states, which the workflows' roles read and lock; required with github_repository"
  type        = string
  default     = ""

  validation {
    condition     = var.github_repository == "" || var.state_bucket != ""
    error_message = "state_bucket is required with github_repository: a plan reads and locks the state there."
  }
}

variable "create_github_provider" {
  description = "Whether to create GitHub's identity provider; an account can have only one, which dev and prod may share"
  type        = bool
  default     = true
}
