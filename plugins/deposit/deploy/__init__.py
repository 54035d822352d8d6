"""Deployment of the stack: what the forms with and without Docker share."""
