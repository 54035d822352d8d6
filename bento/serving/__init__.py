"""The service's inside: bytes in, ranked customers out; no BentoML here."""
