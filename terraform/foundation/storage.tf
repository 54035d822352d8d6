# one module per bucket, because each has its own lifecycle and its own name in a plan
module "data" {
  source = "../modules/storage"

  bucket                             = "${local.name}-${local.account}-data"
  kms_key_arn                        = aws_kms_key.this.arn
  force_destroy                      = !local.is_prod
  noncurrent_version_expiration_days = var.noncurrent_version_expiration_days
}

module "mlflow" {
  source = "../modules/storage"

  bucket                             = "${local.name}-${local.account}-mlflow"
  kms_key_arn                        = aws_kms_key.this.arn
  force_destroy                      = !local.is_prod
  noncurrent_version_expiration_days = var.noncurrent_version_expiration_days
}

module "bentos" {
  source = "../modules/storage"

  bucket                             = "${local.name}-${local.account}-bentos"
  kms_key_arn                        = aws_kms_key.this.arn
  force_destroy                      = !local.is_prod
  noncurrent_version_expiration_days = var.noncurrent_version_expiration_days
}

module "reports" {
  source = "../modules/storage"

  bucket                             = "${local.name}-${local.account}-reports"
  kms_key_arn                        = aws_kms_key.this.arn
  force_destroy                      = !local.is_prod
  noncurrent_version_expiration_days = var.noncurrent_version_expiration_days
}

module "logs" {
  source = "../modules/storage"

  bucket                             = "${local.name}-${local.account}-logs"
  kms_key_arn                        = aws_kms_key.this.arn
  force_destroy                      = !local.is_prod
  noncurrent_version_expiration_days = 1
  expiration_days                    = var.task_log_days
}

module "access" {
  source = "../modules/storage"

  bucket                             = "${local.name}-${local.account}-access"
  force_destroy                      = !local.is_prod
  noncurrent_version_expiration_days = 1
  expiration_days                    = var.task_log_days
  attach_lb_log_delivery_policy      = true
}
