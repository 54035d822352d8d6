# Secrets Manager generates every value, which passes into a secret through a write-only argument and is never stored in a state.
locals {
  # MLflow takes the CA bundle of the server from its URL; our own services, and Airflow through ours, from a setting
  verified = "?sslmode=verify-full&sslrootcert=/opt/deposit/authorities/rds.pem"
  # driver, role and database of each URL; the preparation task sets each role's password from its URL
  roles = {
    "database/url"         = { role = "deposit", database = "deposit", driver = "postgresql", query = "", of = "the owner of the database deposit" }
    "database/writer-url"  = { role = "writer", database = "deposit", driver = "postgresql", query = "", of = "the shipper and the front end, which may only add to the log" }
    "database/mlflow-url"  = { role = "mlflow", database = "mlflow", driver = "postgresql+psycopg", query = local.verified, of = "MLflow" }
    "database/airflow-url" = { role = "airflow", database = "airflow", driver = "postgresql", query = "", of = "Airflow" }
  }
  # keys of the services that call the API; the preparation task adds them to the API keys. `deposit keys` creates people's keys
  api_keys = {
    "api/airflow-key"  = "Airflow's API key"
    "api/releaser-key" = "The API key by which the releaser tests a service before it gets traffic"
  }
  drawn = {
    "database/admin-password"  = "Password of PostgreSQL's administrator"
    "database/reader-password" = "Password of the role that may only read, for Grafana"
    "airflow/fernet-key"       = "Key by which Airflow encrypts connections"
    "airflow/jwt-secret"       = "Secret by which Airflow's parts know each other"
    "airflow/admin-password"   = "Password of Airflow's user admin"
    "grafana/admin-password"   = "Password of Grafana's user admin"
  }
  secrets = merge(
    { for name, description in local.drawn : name => description },
    { for name, role in local.roles : name => "Database URL of ${role.of}" },
    local.api_keys,
    {
      "database/admin-url" = "Database URL of the administrator, for the preparation alone"
      "airflow/passwords"  = "The file of passwords of Airflow's simple login"
    },
  )
  # secrets that are derived from others are written after them
  derived = toset(concat(keys(local.roles), ["database/admin-url", "airflow/passwords"]))
  versioned = {
    for name, description in local.secrets : name => { description = description, version = lookup(var.secret_versions, name, 1) }
  }
}

ephemeral "aws_secretsmanager_random_password" "this" {
  for_each = local.secrets

  # characters that need no quoting anywhere; 43 of 62 characters are 256 bits
  password_length     = 43
  exclude_punctuation = true
}

module "secrets" {
  source = "../modules/secrets"

  name                    = local.name
  secrets                 = { for name, secret in local.versioned : name => secret if !contains(local.derived, name) }
  kms_key_id              = aws_kms_key.this.arn
  recovery_window_in_days = local.is_prod ? 30 : 0

  values = merge(
    { for name, password in ephemeral.aws_secretsmanager_random_password.this : name => password.random_password },
    { for name in keys(local.api_keys) : name => "deposit_${ephemeral.aws_secretsmanager_random_password.this[name].random_password}" },
    {
      # 32 bytes in URL-safe base64
      "airflow/fernet-key" = replace(replace(base64encode(substr(
        ephemeral.aws_secretsmanager_random_password.this["airflow/fernet-key"].random_password, 0, 32
      )), "+", "-"), "/", "_")
    },
  )
}

ephemeral "aws_secretsmanager_secret_version" "admin" {
  secret_id = module.secrets.secret_arns["database/admin-password"]
}

ephemeral "aws_secretsmanager_secret_version" "airflow_admin" {
  secret_id = module.secrets.secret_arns["airflow/admin-password"]
}

module "derived_secrets" {
  source = "../modules/secrets"

  name = local.name
  secrets = merge(
    { for name, secret in local.versioned : name => secret if contains(local.derived, name) },
    { "api/keys" = { description = "API keys: names, roles and digests, no key; written by `deposit keys`", version = 0 } },
  )
  kms_key_id              = aws_kms_key.this.arn
  recovery_window_in_days = local.is_prod ? 30 : 0

  values = merge(
    {
      for name, role in local.roles : name => format(
        "%s://%s:%s@%s:%d/%s%s", role.driver, role.role,
        ephemeral.aws_secretsmanager_random_password.this[name].random_password,
        module.database.db_instance_address, module.database.db_instance_port, role.database, role.query,
      )
    },
    {
      "database/admin-url" = format(
        "postgresql://postgres:%s@%s:%d/postgres", ephemeral.aws_secretsmanager_secret_version.admin.secret_string,
        module.database.db_instance_address, module.database.db_instance_port,
      )
      "airflow/passwords" = jsonencode({ admin = ephemeral.aws_secretsmanager_secret_version.airflow_admin.secret_string })
    },
  )
}

# --- role for creating and revoking API keys -------------------------------------------------------------------------------
resource "aws_iam_role" "keys" {
  count = length(var.key_administrators) > 0 ? 1 : 0

  name                 = "${local.name}-keys"
  description          = "Makes and revokes API keys by `deposit keys`, and may do nothing else"
  assume_role_policy   = data.aws_iam_policy_document.keys_trust.json
  max_session_duration = 3600
}

data "aws_iam_policy_document" "keys_trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "AWS"
      identifiers = var.key_administrators
    }
  }
}

resource "aws_iam_role_policy" "keys" {
  count = length(var.key_administrators) > 0 ? 1 : 0

  name   = "write-keys"
  role   = aws_iam_role.keys[0].id
  policy = data.aws_iam_policy_document.keys.json
}

data "aws_iam_policy_document" "keys" {
  statement {
    sid       = "WriteKeys"
    actions   = ["secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue", "secretsmanager:UpdateSecretVersionStage"]
    resources = [module.derived_secrets.secret_arns["api/keys"]]
  }

  # on the KMS key, only what Secrets Manager needs for that secret
  statement {
    sid       = "UseKeyForKeys"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
    resources = [aws_kms_key.this.arn]

    condition {
      test     = "StringEquals"
      variable = "kms:EncryptionContext:SecretARN"
      values   = [module.derived_secrets.secret_arns["api/keys"]]
    }
  }
}
