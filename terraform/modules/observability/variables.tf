variable "name" {
  description = "Prefix of all resource names"
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,18}[a-z0-9]$", var.name))
    error_message = "name must be 3 to 20 lower-case letters, digits and hyphens, beginning with a letter."
  }
}

variable "kms_key_arn" {
  description = "KMS key of the topic; its policy must allow CloudWatch and Budgets to use it"
  type        = string
}

variable "emails" {
  description = "Email addresses of the subscribers; each must confirm once, through a link in the first email"
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for address in var.emails : can(regex("^[^@ ]+@[^@ ]+$", address))])
    error_message = "emails must be email addresses."
  }
}

variable "monthly_budget" {
  description = "Monthly budget in US dollars; an email is sent at 80 % spent or 100 % forecast"
  type        = number

  validation {
    condition     = var.monthly_budget > 0
    error_message = "monthly_budget must be more than 0."
  }
}

variable "budget_tag" {
  description = "Value of the tag Environment that the budget counts; the tag must be a cost allocation tag of the account"
  type        = string
}

variable "alarms" {
  description = "Alarms by name, each with what is wrong and what to do first"
  type = map(object({
    description         = string
    namespace           = string
    metric_name         = string
    dimensions          = map(string)
    comparison_operator = string
    threshold           = number
    statistic           = optional(string)
    extended_statistic  = optional(string)
    period              = optional(number, 60)
    evaluation_periods  = optional(number, 5)
    treat_missing_data  = optional(string, "notBreaching")
  }))

  validation {
    condition     = alltrue([for alarm in var.alarms : (alarm.statistic == null) != (alarm.extended_statistic == null)])
    error_message = "An alarm must have a statistic or an extended_statistic, not both."
  }

  validation {
    condition     = alltrue([for alarm in var.alarms : length(alarm.description) >= 20])
    error_message = "The description of an alarm must say what is wrong and what to do first, in 20 characters or more."
  }
}

variable "tags" {
  description = "Tags of all resources of this module"
  type        = map(string)
  default     = {}
}
