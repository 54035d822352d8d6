"""The prediction log: entries, the durable spool beside each service, and the shipper into PostgreSQL."""
