"""Releases: package a registered model, deploy it, and send it the traffic."""
