locals {
  registry = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/example"
  arn      = "arn:aws:ecr:eu-central-1:123456789012:repository/example"
  secrets = toset([
    "database/admin-url", "database/url", "database/writer-url", "database/mlflow-url", "database/airflow-url",
    "database/reader-password", "airflow/fernet-key", "airflow/jwt-secret", "airflow/passwords", "grafana/admin-password",
    "api/keys", "api/airflow-key", "api/releaser-key",
  ])
}

module "platform" {
  source = "../.."

  name         = "example"
  cluster_arn  = "arn:aws:ecs:eu-central-1:123456789012:cluster/example"
  cluster_name = "example"
  images = {
    for index, image in ["base", "deposit", "airflow", "grafana"] : image => "${local.registry}/${image}@sha256:${join("", [for _ in range(64) : index])}"
  }
  repositories     = { for image in ["serving", "deposit", "airflow", "grafana"] : image => { url = "${local.registry}/${image}", arn = "${local.arn}/${image}" } }
  buckets          = { for use in ["data", "mlflow", "bentos", "reports", "logs"] : use => "example-${use}" }
  secret_arns      = { for name in local.secrets : name => "arn:aws:secretsmanager:eu-central-1:123456789012:secret:example/${name}-abcdef" }
  kms_key_arn      = "arn:aws:kms:eu-central-1:123456789012:key/11111111-1111-1111-1111-111111111111"
  database_address = "example.abcdefghijkl.eu-central-1.rds.amazonaws.com"

  vpc_id                          = "vpc-11111111"
  subnet_ids                      = ["subnet-11111111", "subnet-22222222"]
  client_security_group_id        = "sg-11111111"
  load_balancer_security_group_id = "sg-22222222"
  listener_arn                    = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:listener/app/example/1111111111111111/2222222222222222"
  hosts                           = { airflow = "airflow.example.org", mlflow = "mlflow.example.org" }
  api_url                         = "https://api.example.org"

  service = {
    name              = "example-serving"
    arn               = "arn:aws:ecs:eu-central-1:123456789012:service/example/example-serving"
    family            = "example-serving"
    role_arns         = ["arn:aws:iam::123456789012:role/example-serving-execution", "arn:aws:iam::123456789012:role/example-serving-task"]
    security_group_id = "sg-33333333"
    tasks             = 1
  }
  function = {
    name  = "example-front"
    arn   = "arn:aws:lambda:eu-central-1:123456789012:function:example-front"
    alias = "live"
    url   = "https://abcdef.execute-api.eu-central-1.amazonaws.com"
  }
  settings = { DEPOSIT_TRAIN__TRIALS = "50" }
  tags     = { Team = "marketing" }
}

output "services" {
  value = module.platform.service_names
}
