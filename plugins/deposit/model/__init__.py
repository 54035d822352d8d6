"""A trained model: encoder, artifact, reference profile, metrics and evaluation."""
