resource "aws_secretsmanager_secret" "this" {
  for_each = var.secrets

  name                    = "${var.name}/${each.key}"
  description             = each.value.description
  kms_key_id              = var.kms_key_id
  recovery_window_in_days = var.recovery_window_in_days
  tags                    = var.tags
}

# a secret whose value is written elsewhere has no version in Terraform, which would treat each new version as drift
resource "aws_secretsmanager_secret_version" "this" {
  for_each = { for name, secret in var.secrets : name => secret if secret.version > 0 }

  secret_id                = aws_secretsmanager_secret.this[each.key].id
  secret_string_wo         = var.values[each.key]
  secret_string_wo_version = each.value.version
}
