"""The stack without Docker: real servers under supervisor."""
