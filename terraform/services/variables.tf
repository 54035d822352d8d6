variable "foundation" {
  description = "Backend of the foundation's state: bucket, key and region"
  type        = object({ bucket = string, key = string, region = string })
}

variable "tags" {
  description = "Tags of all resources, in addition to Project, Environment and State"
  type        = map(string)
  default     = {}
}

# --- images --------------------------------------------------------------------------------------------------------------
variable "images" {
  description = "Images by digest, in the foundation's repositories: `base` (in serving, tagged base-…), `deposit`, `airflow`, `grafana`"
  type        = object({ base = string, deposit = string, airflow = string, grafana = string })

  validation {
    condition     = alltrue([for image in var.images : can(regex("@sha256:[0-9a-f]{64}$", image))])
    error_message = "images must name digests, not tags: REPOSITORY@sha256:DIGEST."
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

# --- load balancer -------------------------------------------------------------------------------------------------------
variable "certificate_arn" {
  description = "Certificate of the load balancer, in ACM, for domain_name and hosts"
  type        = string

  validation {
    condition     = can(regex("^arn:aws:acm:", var.certificate_arn))
    error_message = "certificate_arn must be the ARN of a certificate in ACM."
  }
}

variable "domain_name" {
  description = "Domain name of the API, for which the certificate is valid"
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9-]+(\\.[a-z0-9-]+)+$", var.domain_name))
    error_message = "domain_name must be a name like api.example.org."
  }
}

variable "zone_id" {
  description = "Route 53 zone for the records of domain_name and hosts; null creates no records"
  type        = string
  default     = null
}

variable "internal" {
  description = "Whether the load balancer is in private subnets, unreachable from the internet"
  type        = bool
}

variable "ingress_cidr_blocks" {
  description = "IPv4 blocks that may connect to the load balancer's port 443"
  type        = set(string)
  default     = ["0.0.0.0/0"]

  validation {
    condition     = alltrue([for block in var.ingress_cidr_blocks : can(cidrnetmask(block))])
    error_message = "ingress_cidr_blocks must be IPv4 blocks like 203.0.113.0/24."
  }
}

variable "hosts" {
  description = "Host names under which the load balancer routes to `airflow`, `grafana` and `mlflow`"
  type        = map(string)
  default     = {}

  validation {
    condition     = var.internal || !contains(keys(var.hosts), "mlflow")
    error_message = "hosts has mlflow, which has no login, and the load balancer is open to the internet: set internal = true, or remove mlflow."
  }
}

# --- serving -------------------------------------------------------------------------------------------------------------
variable "release_target" {
  description = "Release target of the releaser: `ecs` or `lambda`"
  type        = string
  default     = "ecs"
}

variable "serving_cpu" {
  description = "CPU units of a serving task"
  type        = number
  default     = 512
}

variable "serving_memory" {
  description = "MiB of memory of a serving task"
  type        = number
  default     = 2048
}

variable "autoscaling_min_capacity" {
  description = "Minimum number of serving tasks"
  type        = number
  default     = 1
}

variable "autoscaling_max_capacity" {
  description = "Maximum number of serving tasks"
  type        = number
  default     = 2
}

variable "front_reserved_concurrency" {
  description = "Maximum number of concurrent instances of the Lambda front end; each has one database connection"
  type        = number
  default     = 10
}

# --- platform ------------------------------------------------------------------------------------------------------------
variable "worker_cpu" {
  description = "CPU units of an Airflow task"
  type        = number
  default     = 2048
}

variable "worker_memory" {
  description = "MiB of memory of an Airflow task"
  type        = number
  default     = 8192
}

variable "settings" {
  description = "Additional settings of all services, `DEPOSIT_*` as in docs/settings.md; no secrets"
  type        = map(string)
  default     = {}
}

variable "alert_webhook_url" {
  description = "Address that Grafana sends alerts to; nothing listens on the default"
  type        = string
  default     = "http://127.0.0.1:9/"
}

# --- alarms --------------------------------------------------------------------------------------------------------------
variable "alarm_emails" {
  description = "Email addresses that alarms are sent to"
  type        = set(string)
  default     = []
}

variable "monthly_budget" {
  description = "Monthly budget in US dollars, of which notifications are sent"
  type        = number
}
