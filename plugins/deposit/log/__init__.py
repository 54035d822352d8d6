"""The prediction log: its entries, the durable spool of each service, and the shipper that moves them to PostgreSQL."""
