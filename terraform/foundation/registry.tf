# the locked serving base, and all releases built on it
module "serving_images" {
  source = "../modules/registry"

  repository_name         = "${local.name}/serving"
  repository_kms_key      = aws_kms_key.this.arn
  repository_force_delete = !local.is_prod
  keep_images             = var.keep_images
  keep_tag_prefixes       = ["base-"]
  lambda_function_arns    = ["arn:aws:lambda:${local.region}:${local.account}:function:${local.name}-front"]
}

# image of releaser, shipper, MLflow and preparation
module "deposit_images" {
  source = "../modules/registry"

  repository_name         = "${local.name}/deposit"
  repository_kms_key      = aws_kms_key.this.arn
  repository_force_delete = !local.is_prod
  keep_images             = var.keep_images
}

module "airflow_images" {
  source = "../modules/registry"

  repository_name         = "${local.name}/airflow"
  repository_kms_key      = aws_kms_key.this.arn
  repository_force_delete = !local.is_prod
  keep_images             = var.keep_images
}

module "grafana_images" {
  source = "../modules/registry"

  repository_name         = "${local.name}/grafana"
  repository_kms_key      = aws_kms_key.this.arn
  repository_force_delete = !local.is_prod
  keep_images             = var.keep_images
}
