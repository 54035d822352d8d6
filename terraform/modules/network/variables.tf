variable "name" {
  description = "Name of the VPC and beginning of all names in it"
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,18}[a-z0-9]$", var.name))
    error_message = "name is 3 to 20 lower-case letters, digits and hyphens, beginning with a letter."
  }
}

variable "cidr" {
  description = "IPv4 addresses of the VPC"
  type        = string
  default     = "10.0.0.0/16"

  validation {
    condition     = can(cidrnetmask(var.cidr))
    error_message = "cidr is an IPv4 block like 10.0.0.0/16."
  }
}

variable "azs" {
  description = "Availability zones, one for each subnet of a kind"
  type        = list(string)

  validation {
    condition     = length(var.azs) >= 2 && length(distinct(var.azs)) == length(var.azs)
    error_message = "azs names two or more different zones: RDS and the load balancer need two."
  }
}

variable "private_subnets" {
  description = "IPv4 blocks of the private subnets, one a zone"
  type        = list(string)

  validation {
    condition     = length(var.private_subnets) == length(var.azs) && alltrue([for block in var.private_subnets : can(cidrnetmask(block))])
    error_message = "private_subnets has one IPv4 block for each of azs."
  }
}

variable "public_subnets" {
  description = "IPv4 blocks of the public subnets, one a zone; none means that the VPC has no way to or from the internet"
  type        = list(string)
  default     = []

  validation {
    condition     = contains([0, length(var.azs)], length(var.public_subnets)) && alltrue([for block in var.public_subnets : can(cidrnetmask(block))])
    error_message = "public_subnets is empty or has one IPv4 block for each of azs."
  }
}

variable "enable_nat_gateway" {
  description = "One NAT gateway in the first zone, by which private subnets reach the internet"
  type        = bool
  default     = false

  validation {
    condition     = !var.enable_nat_gateway || length(var.public_subnets) > 0
    error_message = "enable_nat_gateway needs public_subnets: a NAT gateway stands in one."
  }
}

variable "interface_endpoints" {
  description = "AWS services that private subnets reach by an interface endpoint, like `ecr.api`; S3 always has a gateway endpoint"
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for service in var.interface_endpoints : can(regex("^[a-z0-9.-]+$", service)) && service != "s3"])
    error_message = "interface_endpoints are names of services like ecr.api, and never s3, which has a gateway endpoint."
  }
}

variable "flow_log_retention_in_days" {
  description = "Days for which the log of rejected connections is kept"
  type        = number
  default     = 30

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731], var.flow_log_retention_in_days)
    error_message = "flow_log_retention_in_days is one of the periods that CloudWatch Logs knows, like 30 or 365."
  }
}

variable "kms_key_arn" {
  description = "KMS key of the flow log"
  type        = string
}

variable "tags" {
  description = "Tags of everything here"
  type        = map(string)
  default     = {}
}
