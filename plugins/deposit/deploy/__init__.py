"""The stack laid out: what its two forms, with and without Docker, share."""
