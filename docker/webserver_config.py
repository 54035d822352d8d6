"""Configuration of FAB's auth manager for logins by an OIDC provider (docs/access.md).

The provider's groups are mapped to Airflow's roles at each login. Users in no mapped group have no permissions.
"""

import json
import os

from flask_appbuilder.const import AUTH_OAUTH

_REQUIRED = ("OIDC_ISSUER", "AIRFLOW_OIDC_CLIENT_ID", "AIRFLOW_OIDC_ROLES")
if missing := [name for name in _REQUIRED if not os.environ.get(name)]:
    raise RuntimeError(
        f"AIRFLOW_AUTH_MANAGER is FAB's, and {', '.join(missing)} not set: docs/access.md names them all"
    )

AUTH_TYPE = AUTH_OAUTH
OAUTH_PROVIDERS = [
    {
        "name": "oidc",
        "icon": "fa-key",
        "token_key": "access_token",
        "remote_app": {
            "client_id": os.environ["AIRFLOW_OIDC_CLIENT_ID"],
            # only the API server has it; other components read this file too, but handle no logins
            "client_secret": os.environ.get("AIRFLOW_OIDC_CLIENT_SECRET"),
            "server_metadata_url": os.environ["OIDC_ISSUER"].rstrip("/") + "/.well-known/openid-configuration",
            "client_kwargs": {
                "scope": os.environ.get("OIDC_SCOPES") or "openid profile email",
                "code_challenge_method": "S256",
            },
        },
    }
]
AUTH_USER_REGISTRATION = True
AUTH_USER_REGISTRATION_ROLE = "Public"
AUTH_ROLES_MAPPING = {group: [role] for group, role in json.loads(os.environ["AIRFLOW_OIDC_ROLES"]).items()}
AUTH_ROLES_SYNC_AT_LOGIN = True
