"""Ingest: from a source to a dataset version in the object store."""
