"""What was predicted and what came of it: the durable log and its way to PostgreSQL."""
