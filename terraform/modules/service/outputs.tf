output "service_name" {
  description = "Name of the ECS service"
  value       = aws_ecs_service.this.name
}

output "service_arn" {
  description = "ARN of the ECS service"
  value       = aws_ecs_service.this.id
}

output "task_definition_family" {
  description = "Family of the task definitions that releases register"
  value       = aws_ecs_task_definition.this.family
}

output "role_arns" {
  description = "Roles that a release passes to tasks: execution role and task role"
  value       = [aws_iam_role.execution.arn, aws_iam_role.task.arn]
}

output "target_group_arn" {
  description = "Target group of the load balancer"
  value       = aws_lb_target_group.this.arn
}

output "target_group_arn_suffix" {
  description = "ARN suffix of the target group, for metrics"
  value       = aws_lb_target_group.this.arn_suffix
}

output "security_group_id" {
  description = "Security group of the tasks"
  value       = aws_security_group.this.id
}

output "cloudwatch_log_group_name" {
  description = "Log group of the tasks"
  value       = aws_cloudwatch_log_group.this.name
}
