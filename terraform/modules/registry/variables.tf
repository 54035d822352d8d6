variable "repository_name" {
  description = "Name of the repository"
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9]+([._/-][a-z0-9]+)*$", var.repository_name))
    error_message = "repository_name must be lower-case letters and digits, separated by one of . _ / -."
  }
}

variable "repository_kms_key" {
  description = "KMS key that encrypts images"
  type        = string
}

variable "repository_force_delete" {
  description = "Whether destroying the repository also deletes its images"
  type        = bool
  default     = false
}

variable "keep_images" {
  description = "Number of tagged images to keep, newest first; a rollback needs its image"
  type        = number
  default     = 100

  validation {
    condition     = var.keep_images >= 10
    error_message = "keep_images must be 10 or more, to include the live image and those for rollbacks."
  }
}

variable "keep_tag_prefixes" {
  description = "Tag prefixes that are counted separately: the same number of their images is kept, regardless of other images"
  type        = list(string)
  default     = []
}

variable "lambda_function_arns" {
  description = "Functions that run images of this repository"
  type        = list(string)
  default     = []
}

variable "tags" {
  description = "Tags of all resources of this module"
  type        = map(string)
  default     = {}
}
