locals {
  registry = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/example"
}

module "serving" {
  source = "../.."

  name                            = "example-serving"
  cluster_arn                     = "arn:aws:ecs:eu-central-1:123456789012:cluster/example"
  cluster_name                    = "example"
  container_image                 = "${local.registry}/serving@sha256:${join("", [for _ in range(64) : "1"])}"
  shipper_image                   = "${local.registry}/deposit@sha256:${join("", [for _ in range(64) : "2"])}"
  repository_arns                 = ["arn:aws:ecr:eu-central-1:123456789012:repository/example/serving"]
  shipper_secrets                 = { DEPOSIT_DATABASE__WRITER_URL = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:example/writer-abcdef" }
  readable_object_arns            = ["arn:aws:s3:::example-mlflow/*"]
  kms_key_arn                     = "arn:aws:kms:eu-central-1:123456789012:key/11111111-1111-1111-1111-111111111111"
  vpc_id                          = "vpc-11111111"
  subnet_ids                      = ["subnet-11111111", "subnet-22222222"]
  client_security_group_id        = "sg-11111111"
  load_balancer_security_group_id = "sg-22222222"
  load_balancer_arn_suffix        = "app/example/1111111111111111"
  listener_arn                    = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:listener/app/example/1111111111111111/2222222222222222"
  autoscaling_min_capacity        = 2
  autoscaling_max_capacity        = 6
  tags                            = { Team = "marketing" }
}

output "service" {
  value = module.serving.service_name
}
