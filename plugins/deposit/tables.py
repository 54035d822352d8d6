"""The tables of the `deposit` database. Needs no model library, so that Airflow's environment can import it."""

from sqlalchemy import (
    ARRAY,
    REAL,
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Double,
    Identity,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData()

datasets = Table(
    "datasets",
    metadata,
    Column("version", String(64), primary_key=True),
    Column("source", Text, nullable=False),
    Column("source_sha256", String(64), nullable=False),
    Column("rows", Integer, nullable=False),
    Column("rejected", Integer, nullable=False),
    Column("first_period", String(7), nullable=False),
    Column("last_period", String(7), nullable=False),
    Column("schema_version", Integer, nullable=False),
    Column("parent", String(64)),
    Column("uri", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
)

rejects = Table(
    "rejects",
    metadata,
    Column("source_sha256", String(64), primary_key=True),
    Column("line", Integer, primary_key=True),
    # one row for each invalid column; empty if the whole row is invalid
    Column("column", Text, primary_key=True, server_default=""),
    Column("rule", Text, nullable=False, server_default="unknown"),
    Column("source", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("uri", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)

releases = Table(
    "releases",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("model_id", Text, nullable=False),
    # why the release was requested; `reason` says why it ended
    Column("why", Text, nullable=False, server_default=""),
    Column("bento_tag", Text, nullable=False),
    Column("bento_uri", Text, nullable=False),
    Column("bento_sha256", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", Text, nullable=False, server_default=""),
    Column("target", String(16), nullable=False),
    Column("endpoint", Text),
    Column("requested_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("updated_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Index("releases_one_live", "state", unique=True, postgresql_where=text("state = 'live'")),
)

# events that release nothing; the view `timeline` lists them with the releases
events = Table(
    "events",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("kind", String(16), nullable=False),
    Column("model_id", Text, nullable=False),
    # identity of the event, together with kind and model
    Column("champion", Text, nullable=False, server_default=""),
    Column("period", String(10), nullable=False, server_default=""),
    Column("day", Date),
    # for people; never compared
    Column("reason", Text, nullable=False, server_default=""),
    Column("details", JSONB, nullable=False, server_default=text("'{}'")),
    Index("events_by_model", "kind", "model_id"),
)

# leases of production traffic
leases = Table(
    "leases",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("name", Text, nullable=False),
    # id of the release that was live before; null if there was none
    Column("before", BigInteger),
    Column("began_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("ended_at", DateTime(timezone=True)),
)

predictions = Table(
    "predictions",
    metadata,
    Column("prediction_id", Uuid, primary_key=True),
    Column("event_time", DateTime(timezone=True), primary_key=True),
    Column("request_id", Text, nullable=False),
    Column("customer_id", Text),
    Column("model_id", Text, nullable=False),
    # features, with `_` in place of `.`
    Column("age", SmallInteger, nullable=False),
    Column("job", Text, nullable=False),
    Column("marital", Text, nullable=False),
    Column("education", Text, nullable=False),
    Column("default", Text, nullable=False),
    Column("housing", Text, nullable=False),
    Column("loan", Text, nullable=False),
    Column("contact", Text, nullable=False),
    Column("month", Text, nullable=False),
    Column("day_of_week", Text, nullable=False),
    Column("campaign", SmallInteger, nullable=False),
    Column("pdays", SmallInteger, nullable=False),
    Column("previous", SmallInteger, nullable=False),
    Column("poutcome", Text, nullable=False),
    Column("emp_var_rate", Double, nullable=False),
    Column("cons_price_idx", Double, nullable=False),
    Column("cons_conf_idx", Double, nullable=False),
    Column("euribor3m", Double, nullable=False),
    Column("nr_employed", Double, nullable=False),
    Column("probability", Double, nullable=False),
    Column("subscribes", Boolean, nullable=False),
    Column("threshold", Double, nullable=False),
    Column("latency_ms", REAL, nullable=False),
    Column("client", Text, nullable=False),
    Column("stored_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Index("predictions_by_model", "model_id", "event_time"),
    Index("predictions_by_customer", "customer_id", postgresql_where=text("customer_id IS NOT NULL")),
    Index(
        "predictions_by_request",
        "request_id",
        postgresql_using="brin",
        postgresql_ops={"request_id": "text_bloom_ops"},
        postgresql_with={"pages_per_range": 32, "autosummarize": "on"},
    ),
    postgresql_partition_by="RANGE (event_time)",
)

# archived months of `predictions`; a month has several archives if more of its rows were stored after the first
archives = Table(
    "archives",
    metadata,
    Column("month", String(7), primary_key=True),
    # digest of the content: 16 hexadecimal digits
    Column("content", String(16), primary_key=True),
    Column("uri", Text, nullable=False),
    Column("rows", BigInteger, nullable=False),
    # when the last of its rows was stored in PostgreSQL
    Column("stored_until", DateTime(timezone=True), nullable=False),
    Column("archived_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)

# maintained by a trigger on `predictions`
predictions_by_minute = Table(
    "predictions_by_minute",
    metadata,
    Column("minute", DateTime(timezone=True), primary_key=True),
    Column("model_id", Text, primary_key=True),
    Column("client", Text, primary_key=True),
    Column("subscribes", Boolean, primary_key=True),
    Column("rows", BigInteger, nullable=False),
    Column("probability_sum", Double, nullable=False),
)

outcomes = Table(
    "outcomes",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("prediction_id", Uuid, nullable=False),
    Column("subscribed", Boolean, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("received_at", DateTime(timezone=True), nullable=False),
    Column("client", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("stored_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Index("outcomes_statements", "prediction_id", text("at DESC"), "subscribed", unique=True),
    Index("outcomes_by_stored", "stored_at"),
)

traffic = Table(
    "traffic",
    metadata,
    Column("at", DateTime(timezone=True), primary_key=True),
    Column("instance", Text, primary_key=True),
    Column("route", Text, primary_key=True),
    Column("status", SmallInteger, primary_key=True, autoincrement=False),
    Column("client", Text, primary_key=True),
    Column("model_id", Text, primary_key=True),
    Column("requests", BigInteger, nullable=False),
    Column("seconds", Double, nullable=False),
    Column("latency_upto", ARRAY(Double), nullable=False),
    Column("latency_count", ARRAY(BigInteger), nullable=False),
)

# maintained by a trigger on `traffic`
latencies_by_minute = Table(
    "latencies_by_minute",
    metadata,
    Column("minute", DateTime(timezone=True), primary_key=True),
    Column("route", Text, primary_key=True),
    Column("client", Text, primary_key=True),
    Column("model_id", Text, primary_key=True),
    Column("upto", Double, primary_key=True),
    Column("requests", BigInteger, nullable=False),
)

spool_states = Table(
    "spool_states",
    metadata,
    Column("at", DateTime(timezone=True), primary_key=True, server_default=func.now()),
    Column("entries", BigInteger, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("oldest_seconds", Double, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("aside_rows", BigInteger, nullable=False),
    Column("shipped_rows", BigInteger, nullable=False),
)

metrics = Table(
    "metrics",
    metadata,
    Column("period", String(10), primary_key=True),
    Column("scope", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("column", Text, primary_key=True, server_default=""),
    Column("value", Double, nullable=False),
    Column("note", Text, nullable=False, server_default=""),
    Column("computed_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)
