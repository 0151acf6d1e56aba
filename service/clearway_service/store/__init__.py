"""The store, a SQLite file and the only place with SQL: may import core, errors, fair_semaphore and texts.

One thread's turns write the file, and others read beside them. The database is the only authority; nothing
in memory decides.

Running a flow needs only ``statements``, which the driver executes. Queries for people and other programs are
built with SQLAlchemy, in modules that are imported at their first use as attributes, because importing
SQLAlchemy takes longer than a short flow.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clearway_service.store import ancestors as ancestors
    from clearway_service.store import building as building
    from clearway_service.store import cache as cache
    from clearway_service.store import limits as limits
    from clearway_service.store import log_queries as log_queries
    from clearway_service.store import orphaned_results as orphaned_results
    from clearway_service.store import queries as queries
    from clearway_service.store import schema as schema
    from clearway_service.store import slots as slots

_BUILT = (
    "ancestors",
    "building",
    "cache",
    "limits",
    "log_queries",
    "orphaned_results",
    "queries",
    "schema",
    "slots",
)


def __getattr__(name: str) -> Any:
    if name in _BUILT:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def load_all() -> None:
    """Import everything that is built with SQLAlchemy now, for a process that will serve others."""
    for name in _BUILT:
        import_module(f"{__name__}.{name}")
