variable "name" {
  description = "Prefix of all secret names: `<name>/<key of secrets>`"
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,18}[a-z0-9]$", var.name))
    error_message = "name must be 3 to 20 lower-case letters, digits and hyphens, beginning with a letter."
  }
}

variable "secrets" {
  description = "Secrets by name, such as `database/url`; a higher version writes the value again, version 0 writes none"
  type = map(object({
    description = string
    version     = optional(number, 1)
  }))

  validation {
    condition     = alltrue([for name in keys(var.secrets) : can(regex("^[a-z][a-z0-9/-]*[a-z0-9]$", name))])
    error_message = "names of secrets must be lower-case letters, digits, hyphens and slashes, beginning with a letter."
  }

  validation {
    condition     = alltrue([for secret in var.secrets : secret.version >= 0 && floor(secret.version) == secret.version])
    error_message = "version of a secret must be a whole number: 0 if the value is written elsewhere, otherwise from 1 on."
  }
}

variable "values" {
  description = "Values of the secrets with a version, by the same names; never stored in a plan or state"
  type        = map(string)
  ephemeral   = true
}

variable "kms_key_id" {
  description = "KMS key that encrypts the secrets"
  type        = string
}

variable "recovery_window_in_days" {
  description = "Days during which a destroyed secret can be restored; 0 deletes it immediately"
  type        = number
  default     = 30

  validation {
    condition     = var.recovery_window_in_days == 0 || (var.recovery_window_in_days >= 7 && var.recovery_window_in_days <= 30)
    error_message = "recovery_window_in_days must be 0, or 7 to 30."
  }
}

variable "tags" {
  description = "Tags of all resources of this module"
  type        = map(string)
  default     = {}
}
