output "topic_arn" {
  description = "Topic that alarms and the budget are published to"
  value       = aws_sns_topic.alarms.arn
}

output "alarm_names" {
  description = "Names of the alarms"
  value       = [for alarm in aws_cloudwatch_metric_alarm.this : alarm.alarm_name]
}
