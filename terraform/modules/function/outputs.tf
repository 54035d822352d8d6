output "lambda_function_name" {
  description = "Name of the function"
  value       = aws_lambda_function.this.function_name
}

output "lambda_function_arn" {
  description = "ARN of the function"
  value       = aws_lambda_function.this.arn
}

output "lambda_alias_name" {
  description = "Alias that the HTTP API invokes"
  value       = aws_lambda_alias.live.name
}

output "lambda_role_arn" {
  description = "Role of the function"
  value       = aws_iam_role.this.arn
}

output "api_endpoint" {
  description = "Address of the HTTP API"
  value       = aws_apigatewayv2_api.this.api_endpoint
}

output "api_id" {
  description = "Id of the HTTP API, for metrics"
  value       = aws_apigatewayv2_api.this.id
}
