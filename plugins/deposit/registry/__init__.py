"""MLflow: its clients, the models of runs, the registered versions and the catalog for services."""
