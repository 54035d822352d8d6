variable "function_name" {
  description = "Name of the function, its role and its API"
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,38}[a-z0-9]$", var.function_name))
    error_message = "function_name must be 3 to 40 lower-case letters, digits and hyphens, beginning with a letter."
  }
}

variable "image_uri" {
  description = "Image of the first version, by digest, in this account's registry; releases deploy their own"
  type        = string

  validation {
    condition     = can(regex("@sha256:[0-9a-f]{64}$", var.image_uri))
    error_message = "image_uri must name a digest, not a tag: REPOSITORY@sha256:DIGEST."
  }
}

variable "image_config_entry_point" {
  description = "Entry point: the Lambda runtime client"
  type        = list(string)
}

variable "image_config_command" {
  description = "Command: the handler"
  type        = list(string)
}

variable "image_config_working_directory" {
  description = "Working directory"
  type        = string
}

variable "architectures" {
  description = "CPU architecture of the image"
  type        = list(string)
  default     = ["x86_64"]

  validation {
    condition     = contains(["x86_64", "arm64"], one(var.architectures))
    error_message = "architectures must be [\"x86_64\"] or [\"arm64\"]."
  }
}

variable "memory_size" {
  description = "MiB of memory; 1769 come with one processor"
  type        = number
  default     = 1769

  validation {
    condition     = var.memory_size >= 512 && var.memory_size <= 10240
    error_message = "memory_size must be 512 to 10240."
  }
}

variable "timeout" {
  description = "Timeout of a request in seconds; the HTTP API waits 30"
  type        = number
  default     = 29

  validation {
    condition     = var.timeout >= 3 && var.timeout <= 29
    error_message = "timeout must be 3 to 29: the HTTP API times out after 30."
  }
}

variable "reserved_concurrent_executions" {
  description = "Maximum number of concurrent instances; each has one database connection"
  type        = number
  default     = 10

  validation {
    condition     = var.reserved_concurrent_executions >= 1
    error_message = "reserved_concurrent_executions must be 1 or more: without it, the database runs out of connections."
  }
}

variable "environment_variables" {
  description = "Environment variables of the function; no secrets"
  type        = map(string)
  default     = {}
}

variable "readable_secret_arns" {
  description = "Secrets that the function may read"
  type        = list(string)
  default     = []
}

variable "readable_object_arns" {
  description = "Objects that the function may read"
  type        = list(string)
  default     = []
}

variable "readable_bucket_arns" {
  description = "Buckets that the function may list"
  type        = list(string)
  default     = []
}

variable "kms_key_arn" {
  description = "KMS key of logs, secrets, objects and variables"
  type        = string
}

variable "vpc_subnet_ids" {
  description = "Private subnets of the function"
  type        = list(string)
}

variable "vpc_security_group_ids" {
  description = "Security groups for access to AWS and the database; only the HTTP API can invoke the function"
  type        = list(string)
}

variable "throttling_rate_limit" {
  description = "Average number of requests per second that the HTTP API allows"
  type        = number
  default     = 100
}

variable "throttling_burst_limit" {
  description = "Burst of requests that the HTTP API allows"
  type        = number
  default     = 200
}

variable "cloudwatch_logs_retention_in_days" {
  description = "Log retention in days"
  type        = number
  default     = 30

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731], var.cloudwatch_logs_retention_in_days)
    error_message = "cloudwatch_logs_retention_in_days must be a period that CloudWatch Logs supports, such as 30 or 365."
  }
}

variable "tags" {
  description = "Tags of all resources of this module"
  type        = map(string)
  default     = {}
}
