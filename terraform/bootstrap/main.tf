# The bucket of the states, made once for an account; its own state stays in this folder and can be lost:
# `terraform import module.states.aws_s3_bucket.this BUCKET` finds it again.
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
  description = "Name of the bucket, unique in the world"
  type        = string
}

# a state holds no secret: S3's own keys are enough, which a plan needs no further right for
module "states" {
  source = "../modules/storage"

  bucket                             = var.bucket
  noncurrent_version_expiration_days = 365
}

output "bucket" {
  description = "Bucket of the states"
  value       = module.states.s3_bucket_id
}
