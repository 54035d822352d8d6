"""Batch scoring: input files of any size in, ranked customers out."""
