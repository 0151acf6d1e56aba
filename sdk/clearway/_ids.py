"""Ids of runs and proposals."""

from __future__ import annotations


def new_id() -> str:
    """Return a UUID, version 7: ids made later sort later, which keeps the database's indexes dense."""
    from uuid_utils import uuid7  # noqa: PLC0415 - 15 ms, which `import clearway` need not pay

    return str(uuid7())
