"""What a client on the gateway's machine needs to know the gateway by."""

import ssl
from pathlib import Path

from deposit.errors import ConfigError
from deposit.settings import Settings

_AUTHORITY = Path("caddy", "caddy", "pki", "authorities", "local", "root.crt")
"""Where Caddy keeps the certificate of its own authority, below the folder of the state."""


def trust(settings: Settings) -> ssl.SSLContext:
    """TLS for `settings.gateway_url`: the gateway's own authority, or the very certificate that it was given.

    The name that it was given is not asked for: who works on the gateway's machine connects to its address. Raises
    ConfigError if the certificate cannot be read.
    """
    gateway = settings.gateway
    if gateway.tls == "off":
        return ssl.create_default_context()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    # a certificate that is given vouches for itself, whoever has signed it
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    given = gateway.certificate_file if gateway.tls == "files" else None
    path = given or settings.state_dir.resolve() / _AUTHORITY
    try:
        context.load_verify_locations(cafile=path)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"cannot read the gateway's certificate {path}: start the gateway (`deposit up`), or correct its settings"
        ) from error
    return context
