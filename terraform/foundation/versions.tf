terraform {
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "5.100.0"
    }
  }

  # bucket, key and region come from the command line: terraform/README.md
  backend "s3" {
    use_lockfile = true
    encrypt      = true
  }
}

provider "aws" {
  default_tags {
    tags = local.tags
  }
}
