"""deposit: which customers to call with a term-deposit offer."""

__version__ = "0.1.0"
