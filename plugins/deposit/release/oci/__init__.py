"""Images without an engine: a Bento as one layer on a base image, by the registry's HTTP API."""
