"""From a dataset version to trained candidates in MLflow."""
