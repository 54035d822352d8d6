"""The stack with Docker: what compose runs before and beside the servers."""
