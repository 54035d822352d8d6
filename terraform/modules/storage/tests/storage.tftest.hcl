mock_provider "aws" {
  source = "../../tests/aws"
}

variables {
  bucket      = "example"
  kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/11111111-1111-1111-1111-111111111111"
}

run "example" {
  command = plan

  module {
    source = "./examples/complete"
  }
}

run "closed_versioned_encrypted" {
  command = plan

  assert {
    condition     = aws_s3_bucket_public_access_block.this.block_public_policy && aws_s3_bucket_public_access_block.this.restrict_public_buckets
    error_message = "The bucket could become public."
  }

  assert {
    condition     = aws_s3_bucket_versioning.this.versioning_configuration[0].status == "Enabled"
    error_message = "What is replaced is lost."
  }

  assert {
    condition     = one(one(aws_s3_bucket_server_side_encryption_configuration.this.rule).apply_server_side_encryption_by_default).sse_algorithm == "aws:kms"
    error_message = "Objects are not encrypted by the key."
  }

  assert {
    condition     = !aws_s3_bucket.this.force_destroy
    error_message = "A bucket goes with what is in it, unless told otherwise."
  }
}

run "refuses_a_name_with_a_dot" {
  command = plan

  variables {
    bucket = "example.org"
  }

  expect_failures = [var.bucket]
}

run "refuses_access_logs_under_a_key" {
  command = plan

  variables {
    attach_lb_log_delivery_policy = true
  }

  expect_failures = [var.attach_lb_log_delivery_policy]
}
