resource "aws_ecr_repository" "this" {
  name                 = var.repository_name
  image_tag_mutability = "IMMUTABLE"
  force_delete         = var.repository_force_delete
  tags                 = var.tags

  image_scanning_configuration {
    scan_on_push = true
  }

  encryption_configuration {
    encryption_type = "KMS"
    kms_key         = var.repository_kms_key
  }
}

resource "aws_ecr_lifecycle_policy" "this" {
  repository = aws_ecr_repository.this.name

  policy = jsonencode({
    rules = concat([
      {
        rulePriority = 1
        description  = "untagged images"
        selection    = { tagStatus = "untagged", countType = "sinceImagePushed", countUnit = "days", countNumber = 14 }
        action       = { type = "expire" }
      },
      ], length(var.keep_tag_prefixes) == 0 ? [] : [
      {
        # an image that matches a rule is not considered by later rules
        rulePriority = 2
        description  = "all but the newest base images"
        selection    = { tagStatus = "tagged", tagPrefixList = var.keep_tag_prefixes, countType = "imageCountMoreThan", countNumber = var.keep_images }
        action       = { type = "expire" }
      },
      ], [
      {
        rulePriority = 3
        description  = "all but the newest images"
        selection    = { tagStatus = "any", countType = "imageCountMoreThan", countNumber = var.keep_images }
        action       = { type = "expire" }
      },
    ])
  })
}

resource "aws_ecr_repository_policy" "lambda" {
  count = length(var.lambda_function_arns) > 0 ? 1 : 0

  repository = aws_ecr_repository.this.name
  policy     = data.aws_iam_policy_document.lambda.json
}

data "aws_iam_policy_document" "lambda" {
  statement {
    sid     = "PullByLambda"
    actions = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]

    principals {
      type        = "Service"
      identifiers = ["lambda.amazonaws.com"]
    }

    condition {
      test     = "ArnLike"
      variable = "aws:SourceArn"
      values   = var.lambda_function_arns
    }
  }
}
