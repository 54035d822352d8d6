mock_provider "aws" {
  source = "../../tests/aws"
}

run "example" {
  command = plan

  module {
    source = "./examples/complete"
  }

  assert {
    condition     = length(output.services) == 7
    error_message = "There are not seven parts that run all the time."
  }
}
