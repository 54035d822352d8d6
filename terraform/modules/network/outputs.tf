output "vpc_id" {
  description = "The VPC"
  value       = aws_vpc.this.id
}

output "vpc_cidr_block" {
  description = "IPv4 block of the VPC"
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
  description = "Security group of the workloads in the private subnets"
  value       = aws_security_group.clients.id

  depends_on = [
    aws_vpc_security_group_egress_rule.clients_to_endpoints,
    aws_vpc_security_group_egress_rule.clients_to_s3,
    aws_vpc_security_group_egress_rule.clients_to_internet,
  ]
}

output "nat_public_ips" {
  description = "Public addresses of traffic from the private subnets"
  value       = aws_eip.nat[*].public_ip
}
