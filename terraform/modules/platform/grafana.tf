locals {
  # Grafana stores nothing: dashboards and the data source are in its image (terraform/images/grafana)
  grafana = {
    grafana = {
      image       = var.images.grafana
      entry_point = null
      command     = null
      cpu         = 256
      memory      = 1024
      user        = 472
      writable    = ["/tmp", "/var/lib/grafana"]
      port        = local.ports.grafana
      environment = {
        DATABASE_ADDRESS                          = var.database_address
        ALERT_WEBHOOK_URL                         = var.alert_webhook_url
        GF_SERVER_ROOT_URL                        = try("https://${var.hosts["grafana"]}/", "http://grafana.${local.domain}:${local.ports.grafana}/")
        GF_SECURITY_ADMIN_USER                    = "admin"
        GF_USERS_ALLOW_SIGN_UP                    = "false"
        GF_ANALYTICS_REPORTING_ENABLED            = "false"
        GF_ANALYTICS_CHECK_FOR_UPDATES            = "false"
        GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES     = "false"
        GF_PLUGINS_PREINSTALL_DISABLED            = "true"
        GF_NEWS_NEWS_FEED_ENABLED                 = "false"
        GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH = "/var/lib/deposit/dashboards/service.json"
      }
      secrets = {
        GF_SECURITY_ADMIN_PASSWORD = var.secret_arns["grafana/admin-password"]
        DATABASE_PASSWORD          = var.secret_arns["database/reader-password"]
      }
      health     = ["CMD-SHELL", "wget -Y off -q -O /dev/null http://127.0.0.1:${local.ports.grafana}/api/health"]
      statements = []
    }
  }
}
