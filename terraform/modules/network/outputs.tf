output "vpc_id" {
  description = "The VPC"
  value       = aws_vpc.this.id
}

output "vpc_cidr_block" {
  description = "Its IPv4 addresses"
  value       = aws_vpc.this.cidr_block
}

output "private_subnets" {
  description = "The private subnets, in the order of azs"
  value       = [for zone in var.azs : aws_subnet.private[zone].id]
}

output "public_subnets" {
  description = "The public subnets, in the order of azs"
  value       = [for zone in keys(local.public) : aws_subnet.public[zone].id]
}

output "client_security_group_id" {
  description = "Security group of what runs in the private subnets"
  value       = aws_security_group.clients.id

  depends_on = [
    aws_vpc_security_group_egress_rule.clients_to_endpoints,
    aws_vpc_security_group_egress_rule.clients_to_s3,
    aws_vpc_security_group_egress_rule.clients_to_internet,
  ]
}

output "nat_public_ips" {
  description = "Addresses by which private subnets appear in the internet"
  value       = aws_eip.nat[*].public_ip
}
