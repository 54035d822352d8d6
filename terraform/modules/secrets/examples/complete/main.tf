# the root module generates the value and passes it on without storing it
variable "token" {
  description = "Value of the secret"
  type        = string
  ephemeral   = true
  default     = "for a plan"
}

module "secrets" {
  source = "../.."

  name       = "example"
  secrets    = { "crm/token" = { description = "Token of the customer database", version = 2 } }
  values     = { "crm/token" = var.token }
  kms_key_id = "arn:aws:kms:eu-central-1:123456789012:key/11111111-1111-1111-1111-111111111111"
  tags       = { Team = "marketing" }
}

output "arn" {
  value = module.secrets.secret_arns["crm/token"]
}
