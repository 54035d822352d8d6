# --- private DNS names -----------------------------------------------------------------------------------------------------
resource "aws_service_discovery_private_dns_namespace" "this" {
  name        = local.domain
  description = "Parts of ${var.name}"
  vpc         = var.vpc_id
  tags        = var.tags
}

resource "aws_service_discovery_service" "this" {
  for_each = local.named

  name          = each.key
  force_destroy = true
  tags          = var.tags

  dns_config {
    namespace_id   = aws_service_discovery_private_dns_namespace.this.id
    routing_policy = "MULTIVALUE"

    dns_records {
      type = "A"
      ttl  = 10
    }
  }
}

# --- connections between services --------------------------------------------------------------------------------------------
resource "aws_security_group" "this" {
  name        = "${var.name}-platform"
  description = "Parts of ${var.name}"
  vpc_id      = var.vpc_id
  tags        = merge(var.tags, { Name = "${var.name}-platform" })
}

resource "aws_vpc_security_group_ingress_rule" "between_parts" {
  for_each = { for name in ["airflow", "mlflow"] : name => local.ports[name] }

  security_group_id            = aws_security_group.this.id
  description                  = "${each.key} by other parts"
  referenced_security_group_id = aws_security_group.this.id
  ip_protocol                  = "tcp"
  from_port                    = each.value
  to_port                      = each.value
}

resource "aws_vpc_security_group_egress_rule" "between_parts" {
  for_each = { for name in ["airflow", "mlflow"] : name => local.ports[name] }

  security_group_id            = aws_security_group.this.id
  description                  = "${each.key} of other parts"
  referenced_security_group_id = aws_security_group.this.id
  ip_protocol                  = "tcp"
  from_port                    = each.value
  to_port                      = each.value
}

resource "aws_vpc_security_group_egress_rule" "to_load_balancer" {
  security_group_id            = aws_security_group.this.id
  description                  = "The API"
  referenced_security_group_id = var.load_balancer_security_group_id
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
}

resource "aws_vpc_security_group_ingress_rule" "load_balancer_from_platform" {
  security_group_id            = var.load_balancer_security_group_id
  description                  = "The API by parts of ${var.name}"
  referenced_security_group_id = aws_security_group.this.id
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
}

# the releaser tests a serving task before the load balancer routes to it
resource "aws_vpc_security_group_egress_rule" "to_service" {
  security_group_id            = aws_security_group.this.id
  description                  = "Tests of a release"
  referenced_security_group_id = var.service.security_group_id
  ip_protocol                  = "tcp"
  from_port                    = 8000
  to_port                      = 8000
}

resource "aws_vpc_security_group_ingress_rule" "service_from_platform" {
  security_group_id            = var.service.security_group_id
  description                  = "Tests of a release"
  referenced_security_group_id = aws_security_group.this.id
  ip_protocol                  = "tcp"
  from_port                    = 8000
  to_port                      = 8000
}

# --- routes from the load balancer, for services in `hosts` ----------------------------------------------------------------------
locals {
  led_to = [for name in keys(var.hosts) : local.named[name]]
  looks  = { mlflow = "/health", airflow = "/api/v2/version", grafana = "/api/health" }
}

resource "aws_lb_target_group" "this" {
  for_each = var.hosts

  name                 = "${var.name}-${each.key}"
  vpc_id               = var.vpc_id
  target_type          = "ip"
  protocol             = "HTTP"
  port                 = local.ports[each.key]
  deregistration_delay = 30
  tags                 = var.tags

  health_check {
    path    = local.looks[each.key]
    matcher = "200"
  }
}

resource "aws_lb_listener_rule" "this" {
  for_each = var.hosts

  listener_arn = var.listener_arn
  priority     = 100 + index(["airflow", "grafana", "mlflow"], each.key)
  tags         = var.tags

  action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.this[each.key].arn
  }

  condition {
    host_header {
      values = [each.value]
    }
  }
}

resource "aws_vpc_security_group_ingress_rule" "from_load_balancer" {
  for_each = var.hosts

  security_group_id            = aws_security_group.this.id
  description                  = "${each.key} from the load balancer"
  referenced_security_group_id = var.load_balancer_security_group_id
  ip_protocol                  = "tcp"
  from_port                    = local.ports[each.key]
  to_port                      = local.ports[each.key]
}

resource "aws_vpc_security_group_egress_rule" "load_balancer_to_parts" {
  for_each = var.hosts

  security_group_id            = var.load_balancer_security_group_id
  description                  = "HTTP to ${each.key}"
  referenced_security_group_id = aws_security_group.this.id
  ip_protocol                  = "tcp"
  from_port                    = local.ports[each.key]
  to_port                      = local.ports[each.key]
}
