variable "name" {
  description = "Name of the ECS service, its task family, target group and roles"
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,29}[a-z0-9]$", var.name))
    error_message = "name is 3 to 31 lower-case letters, digits and hyphens, beginning with a letter."
  }
}

variable "cluster_arn" {
  description = "ECS cluster"
  type        = string
}

variable "cluster_name" {
  description = "Name of the ECS cluster"
  type        = string
}

variable "container_image" {
  description = "Image of the container `service` in the first task definition, by digest; releases bring their own"
  type        = string

  validation {
    condition     = can(regex("@sha256:[0-9a-f]{64}$", var.container_image))
    error_message = "container_image names a digest, not a tag: REPOSITORY@sha256:DIGEST."
  }
}

variable "shipper_image" {
  description = "Image of the containers `shipper` and `volumes`, by digest"
  type        = string

  validation {
    condition     = can(regex("@sha256:[0-9a-f]{64}$", var.shipper_image))
    error_message = "shipper_image names a digest, not a tag: REPOSITORY@sha256:DIGEST."
  }
}

variable "repository_arns" {
  description = "Repositories whose images the task may be started from"
  type        = list(string)
}

variable "cpu" {
  description = "CPU units of a task; 1024 are one processor"
  type        = number
  default     = 512

  validation {
    condition     = contains([256, 512, 1024, 2048, 4096, 8192, 16384], var.cpu)
    error_message = "cpu is one that Fargate has: 256, 512, 1024, 2048, 4096, 8192 or 16384."
  }
}

variable "memory" {
  description = "MiB of memory of a task"
  type        = number
  default     = 2048

  validation {
    condition     = var.memory >= 2 * var.cpu && var.memory <= 8 * var.cpu
    error_message = "memory is 2 to 8 MiB for each unit of cpu, which Fargate asks for."
  }
}

variable "cpu_architecture" {
  description = "Processor that the images are for"
  type        = string
  default     = "X86_64"

  validation {
    condition     = contains(["X86_64", "ARM64"], var.cpu_architecture)
    error_message = "cpu_architecture is X86_64 or ARM64."
  }
}

variable "ephemeral_storage" {
  description = "GiB of a task's own disk, with the spool on it"
  type        = number
  default     = 21

  validation {
    condition     = var.ephemeral_storage >= 21 && var.ephemeral_storage <= 200
    error_message = "ephemeral_storage is 21 to 200."
  }
}

variable "environment" {
  description = "Variables of the container `service` in the first task definition"
  type        = map(string)
  default     = {}
}

variable "shipper_environment" {
  description = "Variables of the container `shipper`"
  type        = map(string)
  default     = {}
}

variable "shipper_secrets" {
  description = "Variables of the container `shipper` that come from secrets, by ARN"
  type        = map(string)
  default     = {}
}

variable "readable_secret_arns" {
  description = "Secrets that the service itself reads"
  type        = list(string)
  default     = []
}

variable "readable_object_arns" {
  description = "Objects that the service itself reads, like `arn:aws:s3:::BUCKET/*`"
  type        = list(string)
  default     = []
}

variable "readable_bucket_arns" {
  description = "Buckets that the service may list"
  type        = list(string)
  default     = []
}

variable "writable_object_arns" {
  description = "Objects that the shipper writes when it cannot reach the database"
  type        = list(string)
  default     = []
}

variable "kms_key_arn" {
  description = "KMS key of logs, secrets and objects"
  type        = string
}

variable "vpc_id" {
  description = "VPC of the tasks"
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets of the tasks"
  type        = list(string)
}

variable "client_security_group_id" {
  description = "Security group by which tasks reach AWS and the database"
  type        = string
}

variable "load_balancer_security_group_id" {
  description = "Security group of the load balancer"
  type        = string
}

variable "listener_arn" {
  description = "Listener of the load balancer that gives this service whatever no other rule takes"
  type        = string
}

variable "load_balancer_arn_suffix" {
  description = "End of the load balancer's ARN, for requests per target"
  type        = string
}

variable "autoscaling_min_capacity" {
  description = "Fewest tasks"
  type        = number
  default     = 1

  validation {
    condition     = var.autoscaling_min_capacity >= 1
    error_message = "autoscaling_min_capacity is 1 or more."
  }
}

variable "autoscaling_max_capacity" {
  description = "Most tasks"
  type        = number
  default     = 4

  validation {
    condition     = var.autoscaling_max_capacity >= var.autoscaling_min_capacity
    error_message = "autoscaling_max_capacity is not less than autoscaling_min_capacity."
  }
}

variable "autoscaling_cpu_target" {
  description = "Per cent of CPU that tasks are kept at"
  type        = number
  default     = 60

  validation {
    condition     = var.autoscaling_cpu_target >= 10 && var.autoscaling_cpu_target <= 90
    error_message = "autoscaling_cpu_target is 10 to 90."
  }
}

variable "autoscaling_requests_target" {
  description = "Requests a minute that each task is kept at"
  type        = number
  default     = 12000

  validation {
    condition     = var.autoscaling_requests_target >= 60
    error_message = "autoscaling_requests_target is 60 or more."
  }
}

variable "cloudwatch_log_group_retention_in_days" {
  description = "Days for which logs are kept"
  type        = number
  default     = 30

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731], var.cloudwatch_log_group_retention_in_days)
    error_message = "cloudwatch_log_group_retention_in_days is one of the periods that CloudWatch Logs knows, like 30 or 365."
  }
}

variable "tags" {
  description = "Tags of everything here"
  type        = map(string)
  default     = {}
}
