variable "name" {
  description = "Beginning of all names"
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,18}[a-z0-9]$", var.name))
    error_message = "name is 3 to 20 lower-case letters, digits and hyphens, beginning with a letter."
  }
}

variable "kms_key_arn" {
  description = "KMS key of the topic; its policy lets CloudWatch and Budgets use it"
  type        = string
}

variable "emails" {
  description = "Who is written to; each confirms once, by a link in a first mail"
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for address in var.emails : can(regex("^[^@ ]+@[^@ ]+$", address))])
    error_message = "emails are mail addresses."
  }
}

variable "monthly_budget" {
  description = "US dollars a month; 80 % of it spent, or 100 % forecast, writes a mail"
  type        = number

  validation {
    condition     = var.monthly_budget > 0
    error_message = "monthly_budget is more than 0."
  }
}

variable "budget_tag" {
  description = "Value of the tag Environment that the budget counts; it must be a cost allocation tag of the account"
  type        = string
}

variable "alarms" {
  description = "Alarms by name: what a person must answer, and what to do first"
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
    error_message = "An alarm has a statistic or an extended_statistic, not both."
  }

  validation {
    condition     = alltrue([for alarm in var.alarms : length(alarm.description) >= 20])
    error_message = "description of an alarm says what is wrong and what to do first, in 20 characters or more."
  }
}

variable "tags" {
  description = "Tags of everything here"
  type        = map(string)
  default     = {}
}
