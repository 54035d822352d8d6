"""The stack with Docker Compose: its secrets, and the preparation of its servers."""
