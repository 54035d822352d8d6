output "s3_bucket_id" {
  description = "Name of the bucket"
  value       = aws_s3_bucket.this.id

  # users of this output wait until the bucket is private, versioned and encrypted
  depends_on = [
    aws_s3_bucket_ownership_controls.this,
    aws_s3_bucket_policy.this,
    aws_s3_bucket_server_side_encryption_configuration.this,
    aws_s3_bucket_versioning.this,
  ]
}

output "s3_bucket_arn" {
  description = "ARN of the bucket"
  value       = aws_s3_bucket.this.arn
}
