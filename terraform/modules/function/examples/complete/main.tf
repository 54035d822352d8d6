module "front" {
  source = "../.."

  function_name                  = "example-front"
  image_uri                      = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/example/serving@sha256:${join("", [for _ in range(64) : "1"])}"
  image_config_entry_point       = ["python", "-m", "awslambdaric"]
  image_config_command           = ["lambda_handler.handler"]
  image_config_working_directory = "/bento/src"
  reserved_concurrent_executions = 5
  environment_variables          = { DEPOSIT_LOG__DESTINATION = "database" }
  readable_secret_arns           = ["arn:aws:secretsmanager:eu-central-1:123456789012:secret:example/writer-abcdef"]
  readable_object_arns           = ["arn:aws:s3:::example-mlflow/*"]
  readable_bucket_arns           = ["arn:aws:s3:::example-mlflow"]
  kms_key_arn                    = "arn:aws:kms:eu-central-1:123456789012:key/11111111-1111-1111-1111-111111111111"
  vpc_subnet_ids                 = ["subnet-11111111", "subnet-22222222"]
  vpc_security_group_ids         = ["sg-11111111"]
  tags                           = { Team = "marketing" }
}

output "url" {
  value = module.front.api_endpoint
}
