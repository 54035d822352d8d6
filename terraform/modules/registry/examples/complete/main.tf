# images of a service, which a function runs too
module "images" {
  source = "../.."

  repository_name      = "example/serving"
  repository_kms_key   = "arn:aws:kms:eu-central-1:123456789012:key/11111111-1111-1111-1111-111111111111"
  keep_images          = 50
  keep_tag_prefixes    = ["base-"]
  lambda_function_arns = ["arn:aws:lambda:eu-central-1:123456789012:function:example"]
  tags                 = { Team = "marketing" }
}

output "repository" {
  value = module.images.repository_url
}
