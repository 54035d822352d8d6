mock_provider "aws" {
  source = "../../tests/aws"
}

variables {
  name       = "example"
  secrets    = { "crm/token" = { description = "Token" } }
  values     = { "crm/token" = "for a plan" }
  kms_key_id = "arn:aws:kms:eu-central-1:123456789012:key/11111111-1111-1111-1111-111111111111"
}

run "example" {
  command = plan

  module {
    source = "./examples/complete"
  }
}

run "value_is_not_kept" {
  command = plan

  assert {
    condition     = aws_secretsmanager_secret_version.this["crm/token"].secret_string_wo_version == 1 && aws_secretsmanager_secret.this["crm/token"].name == "example/crm/token"
    error_message = "The secret has another name or version."
  }
}

run "leaves_a_value_to_others" {
  command = plan

  variables {
    secrets = { "crm/token" = { description = "Token" }, "crm/users" = { description = "Users", version = 0 } }
  }

  assert {
    condition     = length(aws_secretsmanager_secret.this) == 2 && keys(aws_secretsmanager_secret_version.this) == ["crm/token"]
    error_message = "Terraform has a version of a secret that others write."
  }
}

run "refuses_half_a_version" {
  command = plan

  variables {
    secrets = { "crm/token" = { description = "Token", version = 1.5 } }
  }

  expect_failures = [var.secrets]
}

run "refuses_a_recovery_of_three_days" {
  command = plan

  variables {
    recovery_window_in_days = 3
  }

  expect_failures = [var.recovery_window_in_days]
}
