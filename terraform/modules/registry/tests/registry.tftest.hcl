mock_provider "aws" {
  source = "../../tests/aws"
}

variables {
  repository_name    = "example/serving"
  repository_kms_key = "arn:aws:kms:eu-central-1:123456789012:key/11111111-1111-1111-1111-111111111111"
}

run "example" {
  command = plan

  module {
    source = "./examples/complete"
  }
}

run "immutable_and_scanned" {
  command = plan

  assert {
    condition     = aws_ecr_repository.this.image_tag_mutability == "IMMUTABLE" && aws_ecr_repository.this.image_scanning_configuration[0].scan_on_push
    error_message = "Tags can be moved, or images are not scanned."
  }

  assert {
    condition     = length(aws_ecr_repository_policy.lambda) == 0
    error_message = "Lambda may pull, though no function is named."
  }
}

run "refuses_to_keep_few" {
  command = plan

  variables {
    keep_images = 1
  }

  expect_failures = [var.keep_images]
}
