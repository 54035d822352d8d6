"""A simulated AWS: moto 5.2.5 as a process of its own, with what it lacks patched in; docs/aws.md names every patch."""
