variable "name" {
  description = "Prefix of all resource names"
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,18}[a-z0-9]$", var.name))
    error_message = "name must be 3 to 20 lower-case letters, digits and hyphens, beginning with a letter."
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

variable "images" {
  description = "Images by digest: `deposit`, `airflow`, `grafana`, and the locked `base` of releases"
  type        = object({ deposit = string, airflow = string, grafana = string, base = string })

  validation {
    condition     = alltrue([for image in var.images : can(regex("@sha256:[0-9a-f]{64}$", image))])
    error_message = "images must name digests, not tags: REPOSITORY@sha256:DIGEST."
  }
}

variable "repositories" {
  description = "Repositories by image (`serving`, `deposit`, `airflow`, `grafana`): address and ARN"
  type        = map(object({ url = string, arn = string }))
}

variable "buckets" {
  description = "Buckets by purpose: `data`, `mlflow`, `bentos`, `reports`, `logs`"
  type        = map(string)
}

variable "secret_arns" {
  description = "Secrets by name, as the foundation creates them"
  type        = map(string)
}

variable "kms_key_arn" {
  description = "KMS key of secrets, objects and logs"
  type        = string
}

variable "database_address" {
  description = "Host name of the database, for Grafana"
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
  description = "Listener of the load balancer for `hosts`"
  type        = string
}

variable "hosts" {
  description = "Host names under which the load balancer routes to `airflow`, `grafana` or `mlflow`; services without one are not exposed"
  type        = map(string)
  default     = {}

  validation {
    condition     = length(setsubtract(keys(var.hosts), ["airflow", "grafana", "mlflow"])) == 0
    error_message = "hosts may only have the keys airflow, grafana and mlflow."
  }
}

variable "api_url" {
  description = "Address of the API: the load balancer, under a name for which its certificate is valid"
  type        = string

  validation {
    condition     = startswith(var.api_url, "https://")
    error_message = "api_url must begin with https://."
  }
}

variable "service" {
  description = "The service for releases to ECS: outputs of the module `service`"
  type = object({
    name              = string
    arn               = string
    family            = string
    role_arns         = list(string)
    security_group_id = string
    tasks             = number
  })
}

variable "function" {
  description = "The function for releases to Lambda: outputs of the module `function`"
  type        = object({ name = string, arn = string, alias = string, url = string })
}

variable "release_target" {
  description = "Release target of the releaser"
  type        = string
  default     = "ecs"

  validation {
    condition     = contains(["ecs", "lambda"], var.release_target)
    error_message = "release_target must be ecs or lambda."
  }
}

variable "serve_settings" {
  description = "Settings of the prediction service, `DEPOSIT_*`, which the releaser passes on"
  type        = map(string)
  default     = {}
}

variable "settings" {
  description = "Additional settings of all services, `DEPOSIT_*` as in docs/settings.md; no secrets"
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for name in keys(var.settings) : startswith(name, "DEPOSIT_")])
    error_message = "settings must be named DEPOSIT_*."
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

variable "worker_cpu" {
  description = "CPU units of an Airflow task; trainings run in one"
  type        = number
  default     = 2048

  validation {
    condition     = contains([512, 1024, 2048, 4096, 8192], var.worker_cpu)
    error_message = "worker_cpu must be a size of Fargate: 512, 1024, 2048, 4096 or 8192."
  }
}

variable "worker_memory" {
  description = "MiB of memory of an Airflow task"
  type        = number
  default     = 8192

  validation {
    condition     = var.worker_memory >= 2 * var.worker_cpu && var.worker_memory <= 8 * var.worker_cpu
    error_message = "worker_memory must be 2 to 8 MiB for each unit of worker_cpu, as Fargate requires."
  }
}

variable "parallelism" {
  description = "Maximum number of concurrent Airflow tasks, each a Fargate task"
  type        = number
  default     = 4

  validation {
    condition     = var.parallelism >= 1
    error_message = "parallelism must be 1 or more."
  }
}

variable "alert_webhook_url" {
  description = "Address that Grafana sends alerts to; nothing listens on the default"
  type        = string
  default     = "http://127.0.0.1:9/"
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
