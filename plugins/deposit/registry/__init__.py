"""MLflow: its client, the models of runs, the registered versions and the catalog that services read."""
