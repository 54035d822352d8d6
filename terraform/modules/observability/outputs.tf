output "topic_arn" {
  description = "Topic of the alarms and the budget notifications"
  value       = aws_sns_topic.alarms.arn
}

output "alarm_names" {
  description = "Names of the alarms"
  value       = [for alarm in aws_cloudwatch_metric_alarm.this : alarm.alarm_name]
}
