"""Batch scoring: files of any size in, ranked customers out."""
