"""From a dataset version to a trained model in MLflow."""
