variable "bucket" {
  description = "Name of the bucket, globally unique"
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.bucket))
    error_message = "bucket must be 3 to 63 lower-case letters, digits and hyphens."
  }
}

variable "kms_key_arn" {
  description = "KMS key that encrypts objects; null means S3-managed keys, which load balancer logs require"
  type        = string
  default     = null
}

variable "force_destroy" {
  description = "Whether destroying the bucket also deletes its objects"
  type        = bool
  default     = false
}

variable "noncurrent_version_expiration_days" {
  description = "Days during which a replaced or deleted object can be restored"
  type        = number
  default     = 30

  validation {
    condition     = var.noncurrent_version_expiration_days >= 1
    error_message = "noncurrent_version_expiration_days must be 1 or more."
  }
}

variable "expiration_days" {
  description = "Days after which objects are deleted; null keeps them"
  type        = number
  default     = null

  validation {
    condition     = var.expiration_days == null ? true : var.expiration_days >= 1
    error_message = "expiration_days must be 1 or more, or null."
  }
}

variable "attach_lb_log_delivery_policy" {
  description = "Whether load balancers of this account may write their access logs here"
  type        = bool
  default     = false

  validation {
    condition     = !var.attach_lb_log_delivery_policy || var.kms_key_arn == null
    error_message = "attach_lb_log_delivery_policy excludes kms_key_arn: load balancers write only to buckets with S3-managed keys."
  }
}

variable "tags" {
  description = "Tags of all resources of this module"
  type        = map(string)
  default     = {}
}
