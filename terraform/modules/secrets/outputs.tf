output "secret_arns" {
  description = "ARNs by name; where there are values here, whoever has one finds its value there"
  value       = { for name, secret in aws_secretsmanager_secret.this : name => try(aws_secretsmanager_secret_version.this[name].arn, secret.arn) }
}
