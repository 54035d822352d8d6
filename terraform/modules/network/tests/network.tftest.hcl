mock_provider "aws" {
  source = "../../tests/aws"
}

variables {
  name            = "example"
  azs             = ["eu-central-1a", "eu-central-1b"]
  private_subnets = ["10.0.0.0/20", "10.0.16.0/20"]
  kms_key_arn     = "arn:aws:kms:eu-central-1:123456789012:key/11111111-1111-1111-1111-111111111111"
}

run "example" {
  command = plan

  module {
    source = "./examples/complete"
  }
}

run "closed" {
  command = plan

  assert {
    condition     = length(aws_internet_gateway.this) + length(aws_nat_gateway.this) + length(aws_subnet.public) == 0
    error_message = "A VPC without public subnets has a way to the internet."
  }

  assert {
    condition     = length(aws_subnet.private) == 2 && aws_vpc_endpoint.s3.vpc_endpoint_type == "Gateway"
    error_message = "There is not one private subnet a zone, and a gateway endpoint of S3."
  }
}

run "one_nat_gateway" {
  command = plan

  variables {
    public_subnets     = ["10.0.128.0/24", "10.0.129.0/24"]
    enable_nat_gateway = true
  }

  assert {
    condition     = length(aws_nat_gateway.this) == 1 && length(aws_vpc_security_group_egress_rule.clients_to_internet) == 1
    error_message = "There is not one NAT gateway, or clients may not use it."
  }
}

run "refuses_one_zone" {
  command = plan

  variables {
    azs             = ["eu-central-1a"]
    private_subnets = ["10.0.0.0/20"]
  }

  expect_failures = [var.azs]
}

run "refuses_a_nat_gateway_without_a_place" {
  command = plan

  variables {
    enable_nat_gateway = true
  }

  expect_failures = [var.enable_nat_gateway]
}

run "refuses_s3_as_interface" {
  command = plan

  variables {
    interface_endpoints = ["s3"]
  }

  expect_failures = [var.interface_endpoints]
}
