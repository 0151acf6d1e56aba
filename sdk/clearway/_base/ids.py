"""Ids of runs and proposals."""

from __future__ import annotations

from collections.abc import Callable

_uuid7: Callable[[], object] | None = None


def new_id() -> str:
    """Return a UUID, version 7: ids made later sort later, which keeps the database's indexes dense."""
    return str((_uuid7 or _load())())


def _load() -> Callable[[], object]:
    global _uuid7  # noqa: PLW0603 - found once: three ids are made for each task
    from uuid_utils import uuid7  # noqa: PLC0415 - 15 ms, which `import clearway` need not pay

    _uuid7 = uuid7
    return uuid7
