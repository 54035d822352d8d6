"""The model card of a released model, in MLflow and the object store: its training, and the models served before it.

It is written before the release is requested, so that no model goes live without one, and only once per model: a
repeated request, also after a kill, gets the same card and so the same Bento.
"""

import msgspec
from sqlalchemy import Connection, text

from deposit.database import transaction
from deposit.progress import Progress
from deposit.registry import tracking
from deposit.registry.registry import ModelRegistry
from deposit.registry.versions import Version
from deposit.release.repository import card_key
from deposit.sections import DatabaseSettings, StoreSettings
from deposit.store import ObjectStore
from deposit.training.card import ModelCard, ServedModel, parse_card, parse_figures
from deposit.training.card_document import to_markdown
from deposit.training.card_page import to_page

_SERVED = text("""
WITH live AS (
    SELECT model_id, min(id) AS first, string_agg(DISTINCT nullif(why, ''), '; ') AS why FROM releases
    WHERE state IN ('live', 'retired') AND kind <> 'renewal'
      AND starts_with(model_id, :prefix) AND model_id <> :model_id
    GROUP BY model_id
), monitored AS (
    SELECT scope, count(*) FILTER (WHERE name = 'rows') AS months, min(period) AS first, max(period) AS last,
           sum(value) FILTER (WHERE name = 'rows') AS predictions, avg(value) FILTER (WHERE name = 'roc_auc') AS roc_auc
    FROM metrics WHERE name IN ('rows', 'roc_auc') AND "column" = '' AND length(period) = 7 GROUP BY scope
)
SELECT model_id, coalesce(months, 0) AS months, coalesce(monitored.first, '') AS first,
       coalesce(monitored.last, '') AS last, coalesce(predictions, 0)::bigint AS predictions, roc_auc,
       coalesce(why, '') AS why
FROM live LEFT JOIN monitored ON scope = model_id ORDER BY live.first
""")


def publish_card(
    database: DatabaseSettings,
    store: StoreSettings,
    registry: ModelRegistry,
    version: Version,
    why: str,
    progress: Progress,
) -> bytes | None:
    """Write the card of a model to be released, and return it as HTML.

    Returns None if training recorded no figures for a card, as earlier versions did not. Raises IntegrityError,
    UpstreamError or SourceError; the release must then be requested again.
    """
    with registry.errors() as client:
        figures = tracking.read_card_figures(client, version.run_id)
    if figures is None:
        progress(f"{version.model_id} has no model card: its training recorded no figures for one")
        return None
    bucket, key = ObjectStore(store).reports, card_key(version.model_id, "json")
    if not bucket.exists(key):
        with transaction(database) as connection:
            history = served_before(connection, registry.name, version.model_id)
        card = ModelCard(figures=parse_figures(figures), model_id=version.model_id, why=why, history=history)
        bucket.put_if_absent(key, msgspec.json.encode(card))
    # read back: of two concurrent requests one wins, and both use its card
    card = parse_card(bucket.get(key))
    markdown, page = to_markdown(card), to_page(card)
    bucket.put(card_key(version.model_id, "md"), markdown.encode(), "text/markdown; charset=utf-8")
    bucket.put(card_key(version.model_id, "html"), page.encode(), "text/html; charset=utf-8")
    with registry.errors() as client:
        tracking.log_card(client, version.run_id, markdown, page)
    progress(f"wrote the model card of {version.model_id}: {bucket.uri(card_key(version.model_id, 'html'))}")
    return page.encode()


def served_before(connection: Connection, name: str, model_id: str) -> tuple[ServedModel, ...]:
    """Return the other versions of the registered model `name` that were live, ordered by their first release."""
    rows = connection.execute(_SERVED, {"prefix": f"{name}-v", "model_id": model_id}).mappings()
    return tuple(ServedModel(**row) for row in rows)
