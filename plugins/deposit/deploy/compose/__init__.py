"""The stack with Docker: programs that compose runs before and beside the servers."""
