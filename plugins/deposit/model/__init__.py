"""From a dataset version to a champion in the registry."""
