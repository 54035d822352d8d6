mock_provider "aws" {
  source = "../../tests/aws"
}

variables {
  function_name                  = "example-front"
  image_uri                      = "example/serving@sha256:1111111111111111111111111111111111111111111111111111111111111111"
  image_config_entry_point       = ["python"]
  image_config_command           = ["handler"]
  image_config_working_directory = "/"
  kms_key_arn                    = "arn:aws:kms:eu-central-1:123456789012:key/11111111-1111-1111-1111-111111111111"
  vpc_subnet_ids                 = ["subnet-11111111"]
  vpc_security_group_ids         = ["sg-11111111"]
}

run "example" {
  command = plan

  module {
    source = "./examples/complete"
  }
}

run "bounded" {
  command = plan

  assert {
    condition     = aws_lambda_function.this.reserved_concurrent_executions == 10 && aws_lambda_function.this.timeout < 30
    error_message = "The function may take more connections than were meant, or answers when nobody waits any more."
  }

  assert {
    condition     = aws_lambda_alias.live.name == "live" && aws_apigatewayv2_integration.this.payload_format_version == "2.0"
    error_message = "The HTTP API does not ask the alias by events of version 2."
  }
}

run "refuses_to_run_without_bound" {
  command = plan

  variables {
    reserved_concurrent_executions = -1
  }

  expect_failures = [var.reserved_concurrent_executions]
}

run "refuses_to_answer_when_nobody_waits" {
  command = plan

  variables {
    timeout = 60
  }

  expect_failures = [var.timeout]
}
