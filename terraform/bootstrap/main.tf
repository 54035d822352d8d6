# The bucket of the Terraform states, created once per account. Its own state stays in this folder; if it is lost,
# `terraform import module.states.aws_s3_bucket.this BUCKET` restores it.
terraform {
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "5.100.0"
    }
  }
}

provider "aws" {
  default_tags {
    tags = { Project = "deposit", State = "bootstrap" }
  }
}

variable "bucket" {
  description = "Name of the bucket, globally unique"
  type        = string
}

# states contain no secrets, so S3-managed keys suffice, for which a plan needs no additional permission
module "states" {
  source = "../modules/storage"

  bucket                             = var.bucket
  noncurrent_version_expiration_days = 365
}

output "bucket" {
  description = "Bucket of the Terraform states"
  value       = module.states.s3_bucket_id
}
