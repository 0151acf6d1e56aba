"""Creates the ids of runs and proposals."""

from __future__ import annotations

from collections.abc import Callable

_uuid7: Callable[[], object] | None = None


def new_id() -> str:
    """Return a new UUID of version 7; these sort by time, which keeps the database's indexes dense."""
    return str((_uuid7 or _load())())


def _load() -> Callable[[], object]:
    global _uuid7  # noqa: PLW0603 - looked up once, because each task needs three ids
    from uuid_utils import uuid7  # noqa: PLC0415 - takes 15 ms, which `import clearway` should not pay

    _uuid7 = uuid7
    return uuid7
