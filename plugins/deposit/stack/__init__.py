"""The stack without Docker: real servers under one supervisor."""
