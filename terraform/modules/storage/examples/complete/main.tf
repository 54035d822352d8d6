# a bucket of drafts: restorable for two months, deleted after a year
module "drafts" {
  source = "../.."

  bucket                             = "example-drafts"
  kms_key_arn                        = "arn:aws:kms:eu-central-1:123456789012:key/11111111-1111-1111-1111-111111111111"
  noncurrent_version_expiration_days = 60
  expiration_days                    = 365
  tags                               = { Team = "marketing" }
}

# a bucket for access logs of load balancers
module "access" {
  source = "../.."

  bucket                        = "example-access"
  attach_lb_log_delivery_policy = true
  expiration_days               = 90
}

output "bucket" {
  value = module.drafts.s3_bucket_id
}
