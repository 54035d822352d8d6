output "service_names" {
  description = "Names of the ECS services"
  value       = { for part, service in aws_ecs_service.this : part => service.name }
}

output "task_definition_families" {
  description = "Families of all task definitions by service; run `preparation` and `migration` once, before the services can work"
  value       = { for part, definition in aws_ecs_task_definition.this : part => definition.family }
}

output "security_group_id" {
  description = "Security group of the services"
  value       = aws_security_group.this.id
}

output "mlflow_url" {
  description = "Address of MLflow in the VPC"
  value       = "http://mlflow.${local.domain}:${local.ports.mlflow}"
}

output "airflow_url" {
  description = "Address of Airflow in the VPC"
  value       = "http://airflow.${local.domain}:${local.ports.airflow}"
}

output "grafana_url" {
  description = "Address of Grafana in the VPC"
  value       = "http://grafana.${local.domain}:${local.ports.grafana}"
}

output "settings" {
  description = "Settings of all services; no secrets"
  value       = local.settings
}
