variable "name" {
  description = "Beginning of all names: a secret is called `<name>/<key of secrets>`"
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,18}[a-z0-9]$", var.name))
    error_message = "name is 3 to 20 lower-case letters, digits and hyphens, beginning with a letter."
  }
}

variable "secrets" {
  description = "Secrets by name, like `database/url`; a higher version writes the value anew, and version 0 leaves it to others"
  type = map(object({
    description = string
    version     = optional(number, 1)
  }))

  validation {
    condition     = alltrue([for name in keys(var.secrets) : can(regex("^[a-z][a-z0-9/-]*[a-z0-9]$", name))])
    error_message = "secrets are named by lower-case letters, digits, hyphens and slashes, beginning with a letter."
  }

  validation {
    condition     = alltrue([for secret in var.secrets : secret.version >= 0 && floor(secret.version) == secret.version])
    error_message = "version of a secret is a whole number: 0 where others write the value, else from 1 on."
  }
}

variable "values" {
  description = "Values of those with a version, by the same names; they are in no plan and in no state"
  type        = map(string)
  ephemeral   = true
}

variable "kms_key_id" {
  description = "KMS key that encrypts them"
  type        = string
}

variable "recovery_window_in_days" {
  description = "Days for which a destroyed secret can be restored; 0 deletes it at once"
  type        = number
  default     = 30

  validation {
    condition     = var.recovery_window_in_days == 0 || (var.recovery_window_in_days >= 7 && var.recovery_window_in_days <= 30)
    error_message = "recovery_window_in_days is 0, or 7 to 30."
  }
}

variable "tags" {
  description = "Tags of everything here"
  type        = map(string)
  default     = {}
}
