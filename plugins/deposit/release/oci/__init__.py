"""Build and push container images without a Docker engine: add a Bento as a layer to a base image in the registry."""
