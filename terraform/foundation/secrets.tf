# Every value is drawn by Secrets Manager, goes from there into a secret by a write-only argument, and is in no state.
locals {
  # MLflow learns from its URL by which authorities the server is verified; ours, and Airflow through ours, by a setting
  verified = "?sslmode=verify-full&sslrootcert=/opt/deposit/authorities/rds.pem"
  # who connects as whom to which database; the preparation gives each role the password that its URL holds
  roles = {
    "database/url"         = { role = "deposit", database = "deposit", driver = "postgresql", query = "", of = "the owner of the database deposit" }
    "database/writer-url"  = { role = "writer", database = "deposit", driver = "postgresql", query = "", of = "the shipper and the front end, which may only add to the log" }
    "database/mlflow-url"  = { role = "mlflow", database = "mlflow", driver = "postgresql+psycopg", query = local.verified, of = "MLflow" }
    "database/airflow-url" = { role = "airflow", database = "airflow", driver = "postgresql", query = "", of = "Airflow" }
  }
  api_keys = {
    "api/marketing-key" = { name = "marketing", roles = ["predict", "outcomes"] }
    "api/admin-key"     = { name = "admin", roles = ["admin"] }
    "api/airflow-key"   = { name = "airflow", roles = ["predict", "outcomes", "admin"] }
    # by it, the releaser tests a service before it gets traffic; a function has no environment in which to be told its digest
    "api/releaser-key" = { name = "releaser", roles = ["admin"] }
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
    { for name, key in local.api_keys : name => "API key ${key.name}: ${join(", ", key.roles)}" },
    {
      "database/admin-url" = "Database URL of the administrator, for the preparation alone"
      "airflow/passwords"  = "The file of passwords of Airflow's simple login"
      "api/keys"           = "The file of API keys: names, roles and digests, no key"
    },
  )
  # what follows from others is written when those are there
  derived = toset(concat(keys(local.roles), ["database/admin-url", "airflow/passwords", "api/keys"]))
  versioned = {
    for name, description in local.secrets : name => { description = description, version = lookup(var.secret_versions, name, 1) }
  }
}

ephemeral "aws_secretsmanager_random_password" "this" {
  for_each = local.secrets

  # of these, text of any place is made without quoting; 43 of 62 characters are 256 bits
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
      # 32 bytes in the alphabet of URLs
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

ephemeral "aws_secretsmanager_secret_version" "api_keys" {
  for_each = local.api_keys

  secret_id = module.secrets.secret_arns[each.key]
}

module "derived_secrets" {
  source = "../modules/secrets"

  name                    = local.name
  secrets                 = { for name, secret in local.versioned : name => secret if contains(local.derived, name) }
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
      "api/keys" = jsonencode({
        format = 1
        open   = false
        keys = [
          for name, key in local.api_keys : {
            name    = key.name
            roles   = key.roles
            sha256  = sha256(ephemeral.aws_secretsmanager_secret_version.api_keys[name].secret_string)
            created = plantimestamp()
            # a release is tested whatever rate the others share
            rate_per_second = name == "api/releaser-key" ? 0 : null
          }
        ]
      })
    },
  )
}
