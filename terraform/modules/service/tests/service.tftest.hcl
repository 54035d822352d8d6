mock_provider "aws" {
  source = "../../tests/aws"
}

variables {
  name                            = "example-serving"
  cluster_arn                     = "arn:aws:ecs:eu-central-1:123456789012:cluster/example"
  cluster_name                    = "example"
  container_image                 = "example/serving@sha256:1111111111111111111111111111111111111111111111111111111111111111"
  shipper_image                   = "example/deposit@sha256:2222222222222222222222222222222222222222222222222222222222222222"
  repository_arns                 = ["arn:aws:ecr:eu-central-1:123456789012:repository/example"]
  kms_key_arn                     = "arn:aws:kms:eu-central-1:123456789012:key/11111111-1111-1111-1111-111111111111"
  vpc_id                          = "vpc-11111111"
  subnet_ids                      = ["subnet-11111111", "subnet-22222222"]
  client_security_group_id        = "sg-11111111"
  load_balancer_security_group_id = "sg-22222222"
  load_balancer_arn_suffix        = "app/example/1111111111111111"
  listener_arn                    = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:listener/app/example/1111111111111111/2222222222222222"
}

run "example" {
  command = plan

  module {
    source = "./examples/complete"
  }
}

run "rolls_back_by_itself" {
  command = plan

  assert {
    condition     = aws_ecs_service.this.deployment_circuit_breaker[0].enable && aws_ecs_service.this.deployment_circuit_breaker[0].rollback
    error_message = "A release that never becomes healthy stays."
  }

  assert {
    condition     = !aws_ecs_service.this.network_configuration[0].assign_public_ip && aws_lb_target_group.this.health_check[0].path == "/readyz"
    error_message = "Tasks have public addresses, or the load balancer asks whether they live instead of whether they are ready."
  }
}

run "refuses_a_tag" {
  command = plan

  variables {
    container_image = "example/serving:latest"
  }

  expect_failures = [var.container_image]
}

run "refuses_memory_that_fargate_has_not" {
  command = plan

  variables {
    cpu    = 1024
    memory = 1024
  }

  expect_failures = [var.memory]
}

run "refuses_a_most_below_the_fewest" {
  command = plan

  variables {
    autoscaling_min_capacity = 3
    autoscaling_max_capacity = 2
  }

  expect_failures = [var.autoscaling_max_capacity]
}
