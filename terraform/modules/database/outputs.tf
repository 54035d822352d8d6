output "db_instance_identifier" {
  description = "Name of the instance"
  value       = aws_db_instance.this.identifier
}

output "db_instance_arn" {
  description = "ARN of the instance"
  value       = aws_db_instance.this.arn
}

output "db_instance_address" {
  description = "Host name of the instance"
  value       = aws_db_instance.this.address
}

output "db_instance_port" {
  description = "Port of the instance"
  value       = aws_db_instance.this.port
}

output "db_instance_resource_id" {
  description = "Resource id for IAM policies that allow connecting with an IAM token"
  value       = aws_db_instance.this.resource_id
}

output "security_group_id" {
  description = "Security group of the instance"
  value       = aws_security_group.this.id
}
