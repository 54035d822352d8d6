module "observability" {
  source = "../.."

  name           = "example"
  kms_key_arn    = "arn:aws:kms:eu-central-1:123456789012:key/11111111-1111-1111-1111-111111111111"
  emails         = ["oncall@example.org"]
  monthly_budget = 500
  budget_tag     = "dev"
  alarms = {
    database-disk = {
      description         = "The database has less than 5 GiB of disk left: give it more."
      namespace           = "AWS/RDS"
      metric_name         = "FreeStorageSpace"
      dimensions          = { DBInstanceIdentifier = "example" }
      statistic           = "Minimum"
      comparison_operator = "LessThanThreshold"
      threshold           = 5368709120
    }
  }
  tags = { Team = "marketing" }
}

output "topic" {
  value = module.observability.topic_arn
}
