"""The service itself, from request bytes to ranked customers, without BentoML."""
