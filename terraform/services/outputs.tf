output "cluster_name" {
  description = "ECS cluster"
  value       = aws_ecs_cluster.this.name
}

output "serving" {
  description = "The service on ECS: names, family of its task definitions, target group, log group"
  value = {
    service_name     = module.serving.service_name
    family           = module.serving.task_definition_family
    target_group_arn = module.serving.target_group_arn
    log_group        = module.serving.cloudwatch_log_group_name
  }
}

output "front" {
  description = "The front end on Lambda: function, alias, address of its HTTP API"
  value = {
    function_name = module.front.lambda_function_name
    alias         = module.front.lambda_alias_name
    url           = module.front.api_endpoint
  }
}

output "load_balancer" {
  description = "The load balancer: its DNS name, to which domain_name must resolve, and its ARN"
  value       = { dns_name = aws_lb.this.dns_name, arn = aws_lb.this.arn }
}

output "api_url" {
  description = "Address of the API"
  value       = local.api_url
}

output "platform" {
  description = "The platform: addresses in the VPC, ECS services and families of task definitions"
  value = {
    mlflow_url  = module.platform.mlflow_url
    airflow_url = module.platform.airflow_url
    grafana_url = module.platform.grafana_url
    services    = module.platform.service_names
    families    = module.platform.task_definition_families
  }
}

output "run_task_network" {
  description = "For `aws ecs run-task --network-configuration`"
  value = jsonencode({ awsvpcConfiguration = {
    subnets        = local.base.private_subnets
    securityGroups = [module.platform.security_group_id, local.base.client_security_group_id]
    assignPublicIp = "DISABLED"
  } })
}

output "alarm_topic_arn" {
  description = "Topic of the alarms and the budget notifications"
  value       = module.observability.topic_arn
}

output "settings" {
  description = "What a part's or a person's environment holds to use this: `terraform output -raw settings`; no secret"
  value = join("", [for name, value in merge(module.platform.settings, local.serve_settings, {
    DEPOSIT_RELEASE__ECS_CLUSTER     = aws_ecs_cluster.this.name
    DEPOSIT_RELEASE__ECS_SERVICE     = module.serving.service_name
    DEPOSIT_RELEASE__ECS_URL         = local.api_url
    DEPOSIT_RELEASE__ECR_REPOSITORY  = local.base.repositories.serving.url
    DEPOSIT_RELEASE__BASE_IMAGE      = var.images.base
    DEPOSIT_RELEASE__LAMBDA_FUNCTION = module.front.lambda_function_name
    DEPOSIT_RELEASE__LAMBDA_ALIAS    = module.front.lambda_alias_name
    DEPOSIT_RELEASE__LAMBDA_URL      = module.front.api_endpoint
  }) : "${name}=${value}\n"])
}
