"""A session's own table that rows are copied into before they are added to the real one."""

from collections.abc import Sequence

from psycopg import sql
from sqlalchemy import Table
from sqlalchemy.dialects import postgresql


class Staging:
    """A temporary table with some of a table's columns, emptied at every commit.

    Args:
        table: whose columns they are.
        columns: their names, in the order in which rows are copied.
        more: further columns, by name with their type.
    """

    def __init__(self, table: Table, columns: Sequence[str], more: Sequence[tuple[str, str]] = ()) -> None:
        dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
        types = [(name, table.columns[name].type.compile(dialect)) for name in columns] + list(more)
        self._names = {
            "staging": sql.Identifier("pg_temp", f"staged_{table.name}"),
            "columns": sql.SQL(", ").join(sql.Identifier(name) for name, _ in types),
            "definitions": sql.SQL(", ").join(
                sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(kind)) for name, kind in types
            ),
        }

    @property
    def create(self) -> sql.Composed:
        """Makes it; once a session, since a table made at every commit would litter the catalog."""
        return self.sql("CREATE TEMPORARY TABLE {staging} ({definitions}) ON COMMIT DELETE ROWS")

    def sql(self, statement: str) -> sql.Composed:
        """A statement with `{staging}` and `{columns}` filled in."""
        return sql.SQL(statement).format(**self._names)
