# Permissions of GitHub workflows, without long-lived keys: one role for each kind of run.
locals {
  github_url = "token.actions.githubusercontent.com"
  github_roles = var.github_repository == "" ? {} : {
    # runs of a tag push images
    images = ["repo:${var.github_repository}:ref:refs/tags/v*"]
    # runs of a pull request plan
    plan = ["repo:${var.github_repository}:pull_request", "repo:${var.github_repository}:ref:refs/heads/main"]
    # a reviewer of the environment approves an apply
    apply = ["repo:${var.github_repository}:environment:${var.environment}"]
  }
  github_provider = "arn:aws:iam::${local.account}:oidc-provider/${local.github_url}"
}

resource "aws_iam_openid_connect_provider" "github" {
  count = var.github_repository != "" && var.create_github_provider ? 1 : 0

  url            = "https://${local.github_url}"
  client_id_list = ["sts.amazonaws.com"]
}

data "aws_iam_policy_document" "github_trust" {
  for_each = local.github_roles

  statement {
    actions = ["sts:AssumeRoleWithWebIdentity"]

    principals {
      type        = "Federated"
      identifiers = [local.github_provider]
    }

    condition {
      test     = "StringEquals"
      variable = "${local.github_url}:aud"
      values   = ["sts.amazonaws.com"]
    }

    condition {
      test     = "StringLike"
      variable = "${local.github_url}:sub"
      values   = each.value
    }
  }
}

resource "aws_iam_role" "github" {
  for_each = local.github_roles

  name                 = "${local.name}-github-${each.key}"
  assume_role_policy   = data.aws_iam_policy_document.github_trust[each.key].json
  max_session_duration = 3600

  depends_on = [aws_iam_openid_connect_provider.github]
}

resource "aws_iam_role_policy" "github" {
  for_each = local.github_roles

  name   = each.key
  role   = aws_iam_role.github[each.key].id
  policy = local.github_policies[each.key]
}

# may read every kind of resource in a plan, but no object, secret value or log
resource "aws_iam_role_policy_attachment" "github_plan" {
  count = var.github_repository == "" ? 0 : 1

  role       = aws_iam_role.github["plan"].name
  policy_arn = "arn:aws:iam::aws:policy/ReadOnlyAccess"
}

# may create everything except users, groups and roles; roles with this name prefix are in a separate policy
resource "aws_iam_role_policy_attachment" "github_apply" {
  count = var.github_repository == "" ? 0 : 1

  role       = aws_iam_role.github["apply"].name
  policy_arn = "arn:aws:iam::aws:policy/PowerUserAccess"
}

locals {
  github_policies = var.github_repository == "" ? {} : {
    images = data.aws_iam_policy_document.github_images.json
    plan   = data.aws_iam_policy_document.github_plan.json
    apply  = data.aws_iam_policy_document.github_apply.json
  }
}

data "aws_iam_policy_document" "github_images" {
  statement {
    sid       = "SignIn"
    actions   = ["ecr:GetAuthorizationToken"]
    resources = ["*"]
  }

  statement {
    sid = "Push"
    actions = [
      "ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:CompleteLayerUpload", "ecr:DescribeImages",
      "ecr:GetDownloadUrlForLayer", "ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:UploadLayerPart",
    ]
    resources = [
      module.serving_images.repository_arn, module.deposit_images.repository_arn,
      module.airflow_images.repository_arn, module.grafana_images.repository_arn,
    ]
  }
}

data "aws_iam_policy_document" "github_plan" {
  statement {
    sid       = "State"
    actions   = ["s3:GetObject", "s3:ListBucket"]
    resources = ["arn:aws:s3:::${var.state_bucket}", "arn:aws:s3:::${var.state_bucket}/*"]
  }

  statement {
    sid       = "Lock"
    actions   = ["s3:PutObject", "s3:DeleteObject"]
    resources = ["arn:aws:s3:::${var.state_bucket}/*.tflock"]
  }

  # a plan generates and reads values that it will not write, because the provider has no other way to an ephemeral value
  statement {
    sid       = "EphemeralValues"
    actions   = ["secretsmanager:GetRandomPassword"]
    resources = ["*"]
  }

  statement {
    sid       = "ReadBack"
    actions   = ["secretsmanager:GetSecretValue"]
    resources = [for name in ["database/admin-password", "airflow/admin-password"] : module.secrets.secret_arns[name]]
  }

  statement {
    sid       = "Decrypt"
    actions   = ["kms:Decrypt"]
    resources = [aws_kms_key.this.arn]
  }
}

data "aws_iam_policy_document" "github_apply" {
  statement {
    sid = "RolesOfThisName"
    actions = [
      "iam:AttachRolePolicy", "iam:CreateRole", "iam:DeleteRole", "iam:DeleteRolePolicy", "iam:DetachRolePolicy", "iam:GetRole",
      "iam:GetRolePolicy", "iam:ListAttachedRolePolicies", "iam:ListInstanceProfilesForRole", "iam:ListRolePolicies",
      "iam:PassRole", "iam:PutRolePolicy", "iam:TagRole", "iam:UntagRole", "iam:UpdateAssumeRolePolicy", "iam:UpdateRole",
    ]
    resources = ["arn:aws:iam::${local.account}:role/${local.name}-*"]
  }

  # it must not extend its own permissions or those of the two other roles
  statement {
    sid       = "NotThePipelinesOwn"
    effect    = "Deny"
    actions   = ["iam:AttachRolePolicy", "iam:PutRolePolicy", "iam:UpdateAssumeRolePolicy", "iam:DetachRolePolicy", "iam:DeleteRolePolicy"]
    resources = ["arn:aws:iam::${local.account}:role/${local.name}-github-*"]
  }

  statement {
    sid       = "IdentityProvider"
    actions   = ["iam:GetOpenIDConnectProvider"]
    resources = [local.github_provider]
  }
}
