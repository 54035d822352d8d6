variable "repository_name" {
  description = "Name of the repository"
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9]+([._/-][a-z0-9]+)*$", var.repository_name))
    error_message = "repository_name is lower-case letters and digits, parted by one of . _ / -."
  }
}

variable "repository_kms_key" {
  description = "KMS key that encrypts images"
  type        = string
}

variable "repository_force_delete" {
  description = "Whether destroying the repository destroys its images"
  type        = bool
  default     = false
}

variable "keep_images" {
  description = "Tagged images that are kept: the newest; a rollback needs its image"
  type        = number
  default     = 100

  validation {
    condition     = var.keep_images >= 10
    error_message = "keep_images is 10 or more: what is served and what a rollback goes back to must be among them."
  }
}

variable "keep_tag_prefixes" {
  description = "Beginnings of tags that are counted for themselves: as many of them are kept, whatever else is pushed"
  type        = list(string)
  default     = []
}

variable "lambda_function_arns" {
  description = "Functions that are started from images here"
  type        = list(string)
  default     = []
}

variable "tags" {
  description = "Tags of everything here"
  type        = map(string)
  default     = {}
}
