mock_provider "aws" {
  source = "../../tests/aws"
}

variables {
  identifier               = "example"
  password                 = "for a plan"
  vpc_id                   = "vpc-11111111"
  subnet_ids               = ["subnet-11111111", "subnet-22222222"]
  client_security_group_id = "sg-11111111"
  kms_key_arn              = "arn:aws:kms:eu-central-1:123456789012:key/11111111-1111-1111-1111-111111111111"
}

run "example" {
  command = plan

  module {
    source = "./examples/complete"
  }
}

run "private_encrypted_kept" {
  command = plan

  assert {
    condition     = aws_db_instance.this.storage_encrypted && !aws_db_instance.this.publicly_accessible && aws_db_instance.this.iam_database_authentication_enabled
    error_message = "The database is open, or not encrypted, or knows no IAM tokens."
  }

  assert {
    condition     = aws_db_instance.this.deletion_protection && aws_db_instance.this.final_snapshot_identifier == "example-final"
    error_message = "Unless told otherwise, a database is protected and leaves a snapshot."
  }

  assert {
    condition     = contains([for parameter in aws_db_parameter_group.this.parameter : parameter.value if parameter.name == "rds.force_ssl"], "1")
    error_message = "The database answers without TLS."
  }
}

run "refuses_to_go_without_backups" {
  command = plan

  variables {
    backup_retention_period = 0
  }

  expect_failures = [var.backup_retention_period]
}

run "refuses_a_disk_that_cannot_grow" {
  command = plan

  variables {
    allocated_storage     = 100
    max_allocated_storage = 100
  }

  expect_failures = [var.max_allocated_storage]
}
