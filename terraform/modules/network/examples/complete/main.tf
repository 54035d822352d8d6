# two zones, a NAT gateway in the first, and endpoints for secrets, whose traffic need not use it
module "network" {
  source = "../.."

  name                = "example"
  cidr                = "10.20.0.0/16"
  azs                 = ["eu-central-1a", "eu-central-1b"]
  private_subnets     = ["10.20.0.0/20", "10.20.16.0/20"]
  public_subnets      = ["10.20.128.0/24", "10.20.129.0/24"]
  enable_nat_gateway  = true
  interface_endpoints = ["secretsmanager"]
  kms_key_arn         = "arn:aws:kms:eu-central-1:123456789012:key/11111111-1111-1111-1111-111111111111"
  tags                = { Team = "marketing" }
}

output "private_subnets" {
  value = module.network.private_subnets
}
