variable "name" {
  description = "Beginning of all names"
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,18}[a-z0-9]$", var.name))
    error_message = "name is 3 to 20 lower-case letters, digits and hyphens, beginning with a letter."
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
  description = "Images by digest: `deposit`, `airflow`, `grafana`, and the locked `base` that releases stand on"
  type        = object({ deposit = string, airflow = string, grafana = string, base = string })

  validation {
    condition     = alltrue([for image in var.images : can(regex("@sha256:[0-9a-f]{64}$", image))])
    error_message = "images name digests, not tags: REPOSITORY@sha256:DIGEST."
  }
}

variable "repositories" {
  description = "Repositories by image (`serving`, `deposit`, `airflow`, `grafana`): address and ARN"
  type        = map(object({ url = string, arn = string }))
}

variable "buckets" {
  description = "Buckets by what they hold: `data`, `mlflow`, `bentos`, `reports`, `logs`"
  type        = map(string)
}

variable "secret_arns" {
  description = "Secrets by name, as the foundation makes them"
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
  description = "Security group by which tasks reach AWS and the database"
  type        = string
}

variable "load_balancer_security_group_id" {
  description = "Security group of the load balancer"
  type        = string
}

variable "listener_arn" {
  description = "Listener of the load balancer, for hosts"
  type        = string
}

variable "hosts" {
  description = "Host names by which the load balancer leads to `airflow`, `grafana` or `mlflow`; none is led to without one"
  type        = map(string)
  default     = {}

  validation {
    condition     = length(setsubtract(keys(var.hosts), ["airflow", "grafana", "mlflow"])) == 0
    error_message = "hosts are of airflow, grafana and mlflow."
  }
}

variable "api_url" {
  description = "Address of the API: the load balancer's, by a name that its certificate has"
  type        = string

  validation {
    condition     = startswith(var.api_url, "https://")
    error_message = "api_url begins with https://."
  }
}

variable "service" {
  description = "The service that is released on ECS: as the module `service` puts it out"
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
  description = "The function that is released on Lambda: as the module `function` puts it out"
  type        = object({ name = string, arn = string, alias = string, url = string })
}

variable "release_target" {
  description = "Where the releaser releases to"
  type        = string
  default     = "ecs"

  validation {
    condition     = contains(["ecs", "lambda"], var.release_target)
    error_message = "release_target is ecs or lambda."
  }
}

variable "serve_settings" {
  description = "What services are told, `DEPOSIT_*`, which the releaser hands on"
  type        = map(string)
  default     = {}
}

variable "settings" {
  description = "Further settings of all parts, `DEPOSIT_*` as in docs/settings.md; no secret"
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for name in keys(var.settings) : startswith(name, "DEPOSIT_")])
    error_message = "settings are named DEPOSIT_*."
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

variable "worker_cpu" {
  description = "CPU units of a task of Airflow's; trainings run in one"
  type        = number
  default     = 2048

  validation {
    condition     = contains([512, 1024, 2048, 4096, 8192], var.worker_cpu)
    error_message = "worker_cpu is one that Fargate has: 512, 1024, 2048, 4096 or 8192."
  }
}

variable "worker_memory" {
  description = "MiB of memory of a task of Airflow's"
  type        = number
  default     = 8192

  validation {
    condition     = var.worker_memory >= 2 * var.worker_cpu && var.worker_memory <= 8 * var.worker_cpu
    error_message = "worker_memory is 2 to 8 MiB for each unit of worker_cpu, which Fargate asks for."
  }
}

variable "parallelism" {
  description = "Tasks of Airflow's at once, each a Fargate task"
  type        = number
  default     = 4

  validation {
    condition     = var.parallelism >= 1
    error_message = "parallelism is 1 or more."
  }
}

variable "alert_webhook_url" {
  description = "Where Grafana sends alerts; the default is nobody"
  type        = string
  default     = "http://127.0.0.1:9/"
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
