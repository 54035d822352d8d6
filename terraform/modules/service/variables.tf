variable "name" {
  description = "Name of the ECS service, its task family, target group and roles"
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,29}[a-z0-9]$", var.name))
    error_message = "name must be 3 to 31 lower-case letters, digits and hyphens, beginning with a letter."
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
  description = "Image of the container `service` in the first task definition, by digest; releases deploy their own"
  type        = string

  validation {
    condition     = can(regex("@sha256:[0-9a-f]{64}$", var.container_image))
    error_message = "container_image must name a digest, not a tag: REPOSITORY@sha256:DIGEST."
  }
}

variable "shipper_image" {
  description = "Image of the containers `shipper` and `volumes`, by digest"
  type        = string

  validation {
    condition     = can(regex("@sha256:[0-9a-f]{64}$", var.shipper_image))
    error_message = "shipper_image must name a digest, not a tag: REPOSITORY@sha256:DIGEST."
  }
}

variable "repository_arns" {
  description = "Repositories of the task's images"
  type        = list(string)
}

variable "cpu" {
  description = "CPU units of a task; 1024 are one processor"
  type        = number
  default     = 512

  validation {
    condition     = contains([256, 512, 1024, 2048, 4096, 8192, 16384], var.cpu)
    error_message = "cpu must be a size of Fargate: 256, 512, 1024, 2048, 4096, 8192 or 16384."
  }
}

variable "memory" {
  description = "MiB of memory of a task"
  type        = number
  default     = 2048

  validation {
    condition     = var.memory >= 2 * var.cpu && var.memory <= 8 * var.cpu
    error_message = "memory must be 2 to 8 MiB for each unit of cpu, as Fargate requires."
  }
}

variable "cpu_architecture" {
  description = "CPU architecture of the images"
  type        = string
  default     = "X86_64"

  validation {
    condition     = contains(["X86_64", "ARM64"], var.cpu_architecture)
    error_message = "cpu_architecture must be X86_64 or ARM64."
  }
}

variable "ephemeral_storage" {
  description = "GiB of a task's ephemeral disk, which contains the spool"
  type        = number
  default     = 21

  validation {
    condition     = var.ephemeral_storage >= 21 && var.ephemeral_storage <= 200
    error_message = "ephemeral_storage must be 21 to 200."
  }
}

variable "environment" {
  description = "Environment variables of the container `service` in the first task definition"
  type        = map(string)
  default     = {}
}

variable "shipper_environment" {
  description = "Environment variables of the container `shipper`"
  type        = map(string)
  default     = {}
}

variable "shipper_secrets" {
  description = "Environment variables of the container `shipper` that come from secrets, by ARN"
  type        = map(string)
  default     = {}
}

variable "readable_secret_arns" {
  description = "Secrets that the service may read"
  type        = list(string)
  default     = []
}

variable "readable_object_arns" {
  description = "Objects that the service may read, such as `arn:aws:s3:::BUCKET/*`"
  type        = list(string)
  default     = []
}

variable "readable_bucket_arns" {
  description = "Buckets that the service may list"
  type        = list(string)
  default     = []
}

variable "writable_object_arns" {
  description = "Objects that the shipper may write when it cannot reach the database"
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
  description = "Security group for access to AWS and the database"
  type        = string
}

variable "load_balancer_security_group_id" {
  description = "Security group of the load balancer"
  type        = string
}

variable "listener_arn" {
  description = "Listener of the load balancer whose default route leads to this service"
  type        = string
}

variable "load_balancer_arn_suffix" {
  description = "ARN suffix of the load balancer, for the metric of requests per target"
  type        = string
}

variable "autoscaling_min_capacity" {
  description = "Minimum number of tasks"
  type        = number
  default     = 1

  validation {
    condition     = var.autoscaling_min_capacity >= 1
    error_message = "autoscaling_min_capacity must be 1 or more."
  }
}

variable "autoscaling_max_capacity" {
  description = "Maximum number of tasks"
  type        = number
  default     = 4

  validation {
    condition     = var.autoscaling_max_capacity >= var.autoscaling_min_capacity
    error_message = "autoscaling_max_capacity must not be less than autoscaling_min_capacity."
  }
}

variable "autoscaling_cpu_target" {
  description = "Target CPU utilisation of tasks in per cent"
  type        = number
  default     = 60

  validation {
    condition     = var.autoscaling_cpu_target >= 10 && var.autoscaling_cpu_target <= 90
    error_message = "autoscaling_cpu_target must be 10 to 90."
  }
}

variable "autoscaling_requests_target" {
  description = "Target number of requests per minute and task"
  type        = number
  default     = 12000

  validation {
    condition     = var.autoscaling_requests_target >= 60
    error_message = "autoscaling_requests_target must be 60 or more."
  }
}

variable "cloudwatch_log_group_retention_in_days" {
  description = "Log retention in days"
  type        = number
  default     = 30

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731], var.cloudwatch_log_group_retention_in_days)
    error_message = "cloudwatch_log_group_retention_in_days must be a period that CloudWatch Logs supports, such as 30 or 365."
  }
}

variable "tags" {
  description = "Tags of all resources of this module"
  type        = map(string)
  default     = {}
}
