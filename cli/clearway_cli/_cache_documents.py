"""The JSON documents for the cache that ``-o json`` prints, with keys that scripts may rely on.

The rules of ``_documents`` apply.
"""

from typing import TypedDict

from clearway.v1 import cache_pb2
from clearway_cli import _documents, _times
from clearway_cli._documents import StateDocument


class EntryDocument(TypedDict):
    """A cache entry; in lists, ``state`` has no inline result. ``size`` is null if it is unknown."""

    key: str
    created: str | None
    expires: str | None
    hits: int
    last_hit: str | None
    size: int | None
    task_key: str
    task_name: str
    task_run_id: str
    task_run_name: str
    flow_run_id: str
    tags: list[str]
    state: StateDocument


class InvalidatedDocument(TypedDict):
    """The number of entries that were removed or, with ``dry_run``, would be."""

    count: int
    dry_run: bool


class StatsDocument(TypedDict):
    """The cache's totals for one task, or for all, in which case there is no task."""

    task_key: str | None
    task_name: str | None
    entries: int
    expired: int
    hits: int
    size: int
    oldest: str | None
    newest: str | None


class SummaryDocument(TypedDict):
    """The cache's totals, the number of keys being computed, and of runs that wait for them."""

    total: StatsDocument
    tasks: list[StatsDocument]
    computing: int
    waiting: int


def entry(message: cache_pb2.CacheEntry) -> EntryDocument:
    """Return the document of an entry."""
    return {
        "key": message.key,
        "created": _times.iso_or_none(message, "created"),
        "expires": _times.iso_or_none(message, "expires"),
        "hits": message.hits,
        "last_hit": _times.iso_or_none(message, "last_hit"),
        "size": message.size or None,
        "task_key": message.task_key,
        "task_name": message.task_name,
        "task_run_id": message.task_run_id,
        "task_run_name": message.task_run_name,
        "flow_run_id": message.flow_run_id,
        "tags": list(message.tags),
        "state": _documents.state(message.state),
    }


def summary(message: cache_pb2.GetCacheStatsResponse) -> SummaryDocument:
    """Return the document of the cache's totals."""
    return {
        "total": _stats(message.total),
        "tasks": [_stats(each) for each in message.tasks],
        "computing": message.computing,
        "waiting": message.waiting,
    }


def _stats(message: cache_pb2.CacheStats) -> StatsDocument:
    return {
        "task_key": message.task_key or None,
        "task_name": message.task_name or None,
        "entries": message.entries,
        "expired": message.expired,
        "hits": message.hits,
        "size": message.size,
        "oldest": _times.iso_or_none(message, "oldest"),
        "newest": _times.iso_or_none(message, "newest"),
    }
