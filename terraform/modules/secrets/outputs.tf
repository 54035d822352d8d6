output "secret_arns" {
  description = "ARNs by name; whoever has one finds the value there"
  value       = { for name, version in aws_secretsmanager_secret_version.this : name => version.arn }
}
