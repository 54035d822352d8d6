variable "foundation" {
  description = "Where the state of the foundation lies: bucket, key and region of its backend"
  type        = object({ bucket = string, key = string, region = string })
}

variable "tags" {
  description = "Tags of everything, besides Project, Environment and State"
  type        = map(string)
  default     = {}
}

# --- images --------------------------------------------------------------------------------------------------------------
variable "images" {
  description = "Images by digest, in the foundation's repositories: `base` (in serving, tagged base-…), `deposit`, `airflow`, `grafana`"
  type        = object({ base = string, deposit = string, airflow = string, grafana = string })

  validation {
    condition     = alltrue([for image in var.images : can(regex("@sha256:[0-9a-f]{64}$", image))])
    error_message = "images name digests, not tags: REPOSITORY@sha256:DIGEST."
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

# --- way in --------------------------------------------------------------------------------------------------------------
variable "certificate_arn" {
  description = "Certificate of the load balancer, in ACM, for domain_name and hosts"
  type        = string

  validation {
    condition     = can(regex("^arn:aws:acm:", var.certificate_arn))
    error_message = "certificate_arn is the ARN of a certificate in ACM."
  }
}

variable "domain_name" {
  description = "Name of the API, which the certificate has"
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9-]+(\\.[a-z0-9-]+)+$", var.domain_name))
    error_message = "domain_name is a name like api.example.org."
  }
}

variable "zone_id" {
  description = "Route 53 zone in which domain_name and hosts are entered; null means that somebody else does"
  type        = string
  default     = null
}

variable "internal" {
  description = "Whether the load balancer stands in private subnets, where the internet cannot reach it"
  type        = bool
}

variable "ingress_cidr_blocks" {
  description = "Who may connect to the load balancer's port 443"
  type        = set(string)
  default     = ["0.0.0.0/0"]

  validation {
    condition     = alltrue([for block in var.ingress_cidr_blocks : can(cidrnetmask(block))])
    error_message = "ingress_cidr_blocks are IPv4 blocks like 203.0.113.0/24."
  }
}

variable "hosts" {
  description = "Names by which the load balancer leads to `airflow`, `grafana` and `mlflow`"
  type        = map(string)
  default     = {}

  validation {
    condition     = var.internal || !contains(keys(var.hosts), "mlflow")
    error_message = "hosts has mlflow, which asks for no login, and the load balancer is open to the internet: set internal = true, or leave mlflow out."
  }
}

# --- serving -------------------------------------------------------------------------------------------------------------
variable "release_target" {
  description = "Where the releaser releases to: `ecs`, or `lambda`"
  type        = string
  default     = "ecs"
}

variable "serving_cpu" {
  description = "CPU units of a task of the service"
  type        = number
  default     = 512
}

variable "serving_memory" {
  description = "MiB of memory of a task of the service"
  type        = number
  default     = 2048
}

variable "autoscaling_min_capacity" {
  description = "Fewest tasks of the service"
  type        = number
  default     = 1
}

variable "autoscaling_max_capacity" {
  description = "Most tasks of the service"
  type        = number
  default     = 2
}

variable "front_reserved_concurrency" {
  description = "Most instances of the front end at once; each holds a connection to the database"
  type        = number
  default     = 10
}

# --- platform ------------------------------------------------------------------------------------------------------------
variable "worker_cpu" {
  description = "CPU units of a task of Airflow's"
  type        = number
  default     = 2048
}

variable "worker_memory" {
  description = "MiB of memory of a task of Airflow's"
  type        = number
  default     = 8192
}

variable "settings" {
  description = "Further settings of all parts, `DEPOSIT_*` as in docs/settings.md; no secret"
  type        = map(string)
  default     = {}
}

variable "alert_webhook_url" {
  description = "Where Grafana sends alerts; the default is nobody"
  type        = string
  default     = "http://127.0.0.1:9/"
}

# --- alarms --------------------------------------------------------------------------------------------------------------
variable "alarm_emails" {
  description = "Who is written to when a person must answer"
  type        = set(string)
  default     = []
}

variable "monthly_budget" {
  description = "US dollars a month, of which alarms are made"
  type        = number
}
