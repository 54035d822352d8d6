mock_provider "aws" {
  source = "../../tests/aws"
}

variables {
  name           = "example"
  kms_key_arn    = "arn:aws:kms:eu-central-1:123456789012:key/11111111-1111-1111-1111-111111111111"
  monthly_budget = 100
  budget_tag     = "dev"
  alarms         = {}
}

run "example" {
  command = plan

  module {
    source = "./examples/complete"
  }
}

run "budget_of_a_month" {
  command = plan

  assert {
    condition     = aws_budgets_budget.month.limit_amount == "100.0"
    error_message = "The budget is another."
  }
}

run "refuses_an_alarm_that_says_nothing" {
  command = plan

  variables {
    alarms = {
      cpu = {
        description         = "CPU", namespace = "AWS/RDS", metric_name = "CPUUtilization", dimensions = {}, statistic = "Average",
        comparison_operator = "GreaterThanThreshold", threshold = 90
      }
    }
  }

  expect_failures = [var.alarms]
}
