"""Monitoring: data quality, drift and performance of predictions by period, compared with training."""
