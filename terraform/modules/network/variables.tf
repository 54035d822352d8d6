variable "name" {
  description = "Name of the VPC and prefix of all resource names in it"
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,18}[a-z0-9]$", var.name))
    error_message = "name must be 3 to 20 lower-case letters, digits and hyphens, beginning with a letter."
  }
}

variable "cidr" {
  description = "IPv4 block of the VPC"
  type        = string
  default     = "10.0.0.0/16"

  validation {
    condition     = can(cidrnetmask(var.cidr))
    error_message = "cidr must be an IPv4 block like 10.0.0.0/16."
  }
}

variable "azs" {
  description = "Availability zones; each gets one private and, if set, one public subnet"
  type        = list(string)

  validation {
    condition     = length(var.azs) >= 2 && length(distinct(var.azs)) == length(var.azs)
    error_message = "azs must name two or more different zones: RDS and the load balancer need two."
  }
}

variable "private_subnets" {
  description = "IPv4 blocks of the private subnets, one per zone"
  type        = list(string)

  validation {
    condition     = length(var.private_subnets) == length(var.azs) && alltrue([for block in var.private_subnets : can(cidrnetmask(block))])
    error_message = "private_subnets must have one IPv4 block for each of azs."
  }
}

variable "public_subnets" {
  description = "IPv4 blocks of the public subnets, one per zone; if empty, the VPC has no connection to the internet"
  type        = list(string)
  default     = []

  validation {
    condition     = contains([0, length(var.azs)], length(var.public_subnets)) && alltrue([for block in var.public_subnets : can(cidrnetmask(block))])
    error_message = "public_subnets must be empty or have one IPv4 block for each of azs."
  }
}

variable "enable_nat_gateway" {
  description = "Whether to create one NAT gateway in the first zone, through which private subnets reach the internet"
  type        = bool
  default     = false

  validation {
    condition     = !var.enable_nat_gateway || length(var.public_subnets) > 0
    error_message = "enable_nat_gateway requires public_subnets, because a NAT gateway is in one."
  }
}

variable "interface_endpoints" {
  description = "AWS services with an interface endpoint in the private subnets, such as `ecr.api`; S3 always has a gateway endpoint"
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for service in var.interface_endpoints : can(regex("^[a-z0-9.-]+$", service)) && service != "s3"])
    error_message = "interface_endpoints must be names of services like ecr.api, without s3, which has a gateway endpoint."
  }
}

variable "flow_log_retention_in_days" {
  description = "Retention of the log of rejected connections in days"
  type        = number
  default     = 30

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731], var.flow_log_retention_in_days)
    error_message = "flow_log_retention_in_days must be a period that CloudWatch Logs supports, such as 30 or 365."
  }
}

variable "kms_key_arn" {
  description = "KMS key of the flow log"
  type        = string
}

variable "tags" {
  description = "Tags of all resources of this module"
  type        = map(string)
  default     = {}
}
