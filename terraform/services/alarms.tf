locals {
  load_balancer = { LoadBalancer = aws_lb.this.arn_suffix }
  serving       = { ClusterName = aws_ecs_cluster.this.name, ServiceName = module.serving.service_name }
  database      = { DBInstanceIdentifier = local.base.database.identifier }
  front         = { FunctionName = module.front.lambda_function_name }

  # each needs a person; problems that resolve by themselves, or that Grafana shows, are not included
  alarms = {
    serving-errors = {
      description         = "The service answers with 5xx: look at its log group, then `deposit rollback`."
      namespace           = "AWS/ApplicationELB"
      metric_name         = "HTTPCode_Target_5XX_Count"
      dimensions          = merge(local.load_balancer, { TargetGroup = module.serving.target_group_arn_suffix })
      statistic           = "Sum"
      comparison_operator = "GreaterThanThreshold"
      threshold           = 10
    }
    serving-unhealthy = {
      description         = "Tasks of the service do not become ready: look at the events of its ECS service."
      namespace           = "AWS/ApplicationELB"
      metric_name         = "UnHealthyHostCount"
      dimensions          = merge(local.load_balancer, { TargetGroup = module.serving.target_group_arn_suffix })
      statistic           = "Maximum"
      comparison_operator = "GreaterThanThreshold"
      threshold           = 0
      evaluation_periods  = 10
    }
    serving-slow = {
      description         = "One response in twenty takes more than 2 s: look at CPU and at the number of tasks."
      namespace           = "AWS/ApplicationELB"
      metric_name         = "TargetResponseTime"
      dimensions          = merge(local.load_balancer, { TargetGroup = module.serving.target_group_arn_suffix })
      extended_statistic  = "p95"
      comparison_operator = "GreaterThanThreshold"
      threshold           = 2
      evaluation_periods  = 10
    }
    serving-memory = {
      description         = "The service uses 90 % of its memory: raise serving_memory before it is killed."
      namespace           = "AWS/ECS"
      metric_name         = "MemoryUtilization"
      dimensions          = local.serving
      statistic           = "Average"
      comparison_operator = "GreaterThanThreshold"
      threshold           = 90
      evaluation_periods  = 10
    }
    releaser-gone = {
      description         = "The releaser has not run for 15 minutes: no release and no rollback happens; look at its log group."
      namespace           = "ECS/ContainerInsights"
      metric_name         = "RunningTaskCount"
      dimensions          = { ClusterName = aws_ecs_cluster.this.name, ServiceName = module.platform.service_names["releaser"] }
      statistic           = "Maximum"
      comparison_operator = "LessThanThreshold"
      threshold           = 1
      evaluation_periods  = 15
      treat_missing_data  = "breaching"
    }
    scheduler-gone = {
      description         = "Airflow's scheduler has not run for 15 minutes: nothing is monitored or trained; look at its log group."
      namespace           = "ECS/ContainerInsights"
      metric_name         = "RunningTaskCount"
      dimensions          = { ClusterName = aws_ecs_cluster.this.name, ServiceName = module.platform.service_names["airflow-scheduler"] }
      statistic           = "Maximum"
      comparison_operator = "LessThanThreshold"
      threshold           = 1
      evaluation_periods  = 15
      treat_missing_data  = "breaching"
    }
    database-disk = {
      description         = "The database has less than 5 GiB of disk left: raise database_max_allocated_storage, or drop old days."
      namespace           = "AWS/RDS"
      metric_name         = "FreeStorageSpace"
      dimensions          = local.database
      statistic           = "Minimum"
      comparison_operator = "LessThanThreshold"
      threshold           = 5 * 1024 * 1024 * 1024
    }
    database-cpu = {
      description         = "The database has been at 90 % of its CPU for half an hour: look at Performance Insights."
      namespace           = "AWS/RDS"
      metric_name         = "CPUUtilization"
      dimensions          = local.database
      statistic           = "Average"
      comparison_operator = "GreaterThanThreshold"
      threshold           = 90
      evaluation_periods  = 30
    }
    database-memory = {
      description         = "The database has less than 64 MiB of memory left: take a larger database_instance_class."
      namespace           = "AWS/RDS"
      metric_name         = "FreeableMemory"
      dimensions          = local.database
      statistic           = "Average"
      comparison_operator = "LessThanThreshold"
      threshold           = 64 * 1024 * 1024
      evaluation_periods  = 15
    }
    front-errors = {
      description         = "The front end fails: look at its log group, then `deposit rollback`."
      namespace           = "AWS/Lambda"
      metric_name         = "Errors"
      dimensions          = local.front
      statistic           = "Sum"
      comparison_operator = "GreaterThanThreshold"
      threshold           = 5
    }
    front-throttled = {
      description         = "The front end refuses requests: raise front_reserved_concurrency if the database has connections left."
      namespace           = "AWS/Lambda"
      metric_name         = "Throttles"
      dimensions          = local.front
      statistic           = "Sum"
      comparison_operator = "GreaterThanThreshold"
      threshold           = 10
    }
  }
}

module "observability" {
  source = "../modules/observability"

  name           = local.name
  kms_key_arn    = local.base.kms_key_arn
  emails         = var.alarm_emails
  monthly_budget = var.monthly_budget
  budget_tag     = local.base.environment
  alarms         = local.alarms
}
