resource "aws_lb" "this" {
  name                       = local.name
  load_balancer_type         = "application"
  internal                   = var.internal
  subnets                    = var.internal ? local.base.private_subnets : local.base.public_subnets
  security_groups            = [aws_security_group.load_balancer.id]
  enable_deletion_protection = local.is_prod
  drop_invalid_header_fields = true
  # ranking a list of a million customers takes more than a minute
  idle_timeout = 300

  access_logs {
    bucket  = local.base.buckets.access
    enabled = true
  }

  lifecycle {
    precondition {
      condition     = var.internal || length(local.base.public_subnets) > 0
      error_message = "The foundation has no public subnets: set internal = true, or public_subnets = true there."
    }

    # services then call the API at its public address
    precondition {
      condition     = var.internal || local.base.has_nat_gateway
      error_message = "Without a NAT gateway, services in private subnets cannot reach an internet-facing load balancer: set internal = true, or enable_nat_gateway = true in the foundation."
    }
  }
}

resource "aws_lb_listener" "https" {
  load_balancer_arn = aws_lb.this.arn
  port              = 443
  protocol          = "HTTPS"
  ssl_policy        = "ELBSecurityPolicy-TLS13-1-2-2021-06"
  certificate_arn   = var.certificate_arn

  # modules add rules for their services
  default_action {
    type = "fixed-response"

    fixed_response {
      content_type = "application/json"
      message_body = jsonencode({ detail = "nothing is served here" })
      status_code  = "404"
    }
  }
}

resource "aws_security_group" "load_balancer" {
  name        = "${local.name}-load-balancer"
  description = "The load balancer: HTTPS from clients"
  vpc_id      = local.base.vpc_id
  tags        = { Name = "${local.name}-load-balancer" }
}

# the only access from outside the VPC
resource "aws_vpc_security_group_ingress_rule" "https" {
  for_each = var.ingress_cidr_blocks

  security_group_id = aws_security_group.load_balancer.id
  description       = "HTTPS"
  cidr_ipv4         = each.value
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_route53_record" "this" {
  for_each = var.zone_id == null ? toset([]) : toset(concat([var.domain_name], values(var.hosts)))

  zone_id = var.zone_id
  name    = each.value
  type    = "A"

  alias {
    name                   = aws_lb.this.dns_name
    zone_id                = aws_lb.this.zone_id
    evaluate_target_health = true
  }
}
