"""Rows: builds rows of the service's tables by column name, so that they follow the schema."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Integer, String, Table

from clearway_service.store.building import insert_rows


class Rows:
    """Builds rows of one table. Omitted columns are null if possible, otherwise empty or 0.

    Args:
        table: The table.
        numbered: Whether the rows include the number that the database would assign.

    Attributes:
        sql: The statement that inserts one row.
    """

    def __init__(self, table: Table, *, numbered: bool = False) -> None:
        counted = None if numbered else table.autoincrement_column
        self._blank = {column.name: _blank(column) for column in table.columns if column is not counted}
        self.sql = insert_rows(table, tuple(self._blank))

    def row(self, **values: object) -> tuple[object, ...]:
        """Return a row.

        Raises:
            ValueError: The table lacks a column of one of these names.
        """
        if unknown := values.keys() - self._blank.keys():
            raise ValueError(f"no such columns: {', '.join(sorted(unknown))}")
        return tuple((self._blank | values).values())


def _blank(column: Any) -> object:
    if column.nullable:
        return None
    if isinstance(column.type, String):
        return ""
    return 0 if isinstance(column.type, Integer) else 0.0
