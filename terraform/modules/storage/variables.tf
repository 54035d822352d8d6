variable "bucket" {
  description = "Name of the bucket, unique in the world"
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.bucket))
    error_message = "bucket is 3 to 63 lower-case letters, digits and hyphens."
  }
}

variable "kms_key_arn" {
  description = "KMS key that encrypts objects; null means S3's own keys, the only ones that the load balancer's logs allow"
  type        = string
  default     = null
}

variable "force_destroy" {
  description = "Whether destroying the bucket destroys what is in it"
  type        = bool
  default     = false
}

variable "noncurrent_version_expiration_days" {
  description = "Days for which a replaced or deleted object can be restored"
  type        = number
  default     = 30

  validation {
    condition     = var.noncurrent_version_expiration_days >= 1
    error_message = "noncurrent_version_expiration_days is 1 or more."
  }
}

variable "expiration_days" {
  description = "Days after which objects are deleted; null keeps them"
  type        = number
  default     = null

  validation {
    condition     = var.expiration_days == null ? true : var.expiration_days >= 1
    error_message = "expiration_days is 1 or more, or null."
  }
}

variable "attach_lb_log_delivery_policy" {
  description = "Whether load balancers of this account may write their access logs here"
  type        = bool
  default     = false

  validation {
    condition     = !var.attach_lb_log_delivery_policy || var.kms_key_arn == null
    error_message = "attach_lb_log_delivery_policy allows no kms_key_arn: load balancers write to buckets with S3's own keys alone."
  }
}

variable "tags" {
  description = "Tags of everything here"
  type        = map(string)
  default     = {}
}
