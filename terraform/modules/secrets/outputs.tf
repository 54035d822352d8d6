output "secret_arns" {
  description = "ARNs by name; available after the values were written"
  value       = { for name, secret in aws_secretsmanager_secret.this : name => try(aws_secretsmanager_secret_version.this[name].arn, secret.arn) }
}
