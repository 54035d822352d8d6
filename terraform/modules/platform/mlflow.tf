locals {
  mlflow = {
    mlflow = {
      image       = var.images.deposit
      entry_point = ["mlflow"]
      command = [
        "server", "--host=0.0.0.0", "--port=${local.ports.mlflow}", "--workers=1", "--serve-artifacts",
        "--artifacts-destination=s3://${var.buckets.mlflow}",
        # requests with any other host name could come from a foreign page through a user's browser (DNS rebinding)
        "--allowed-hosts=${join(",", concat(["localhost:*", "127.0.0.1:*", "mlflow.${local.domain}:${local.ports.mlflow}"], local.mlflow_hosts))}",
        "--cors-allowed-origins=${join(",", concat(["http://mlflow.${local.domain}:${local.ports.mlflow}"], [for host in local.mlflow_hosts : "https://${host}"]))}",
      ]
      cpu         = 512
      memory      = 2048
      user        = 10001
      writable    = ["/tmp"]
      port        = local.ports.mlflow
      environment = { AWS_DEFAULT_REGION = local.region, MLFLOW_SERVER_ENABLE_JOB_EXECUTION = "false" }
      secrets     = { MLFLOW_BACKEND_STORE_URI = var.secret_arns["database/mlflow-url"] }
      health      = ["CMD", "python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:${local.ports.mlflow}/health', timeout=8)"]
      statements  = local.may_write.mlflow
    }
  }
  mlflow_hosts = [for part, host in var.hosts : host if part == "mlflow"]
}
