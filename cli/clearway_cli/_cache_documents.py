"""The JSON documents for the cache that ``-o json`` prints, with keys that scripts may rely on.

The rules of ``_documents`` apply.
"""

from collections.abc import Iterable
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
        "created": _times.iso_or_none(message, "create_time"),
        "expires": _times.iso_or_none(message, "expire_time"),
        "hits": message.hit_count,
        "last_hit": _times.iso_or_none(message, "last_hit_time"),
        "size": message.size_bytes or None,
        "task_key": message.task_key,
        "task_name": message.task_name,
        "task_run_id": message.task_run_id,
        "task_run_name": message.task_run_name,
        "flow_run_id": message.flow_run_id,
        "tags": list(message.tags),
        "state": _documents.state(message.state),
    }


def summary(
    message: cache_pb2.GetCacheStatsResponse, tasks: Iterable[cache_pb2.TaskCacheStats]
) -> SummaryDocument:
    """Return the document of the cache's totals."""
    return {
        "total": _stats(message.total),
        "tasks": [_stats(each.stats, each.task_key, each.task_name) for each in tasks],
        "computing": message.computing_count,
        "waiting": message.waiting_count,
    }


def _stats(
    message: cache_pb2.CacheStats, task_key: str | None = None, task_name: str | None = None
) -> StatsDocument:
    return {
        "task_key": task_key,
        "task_name": task_name,
        "entries": message.entry_count,
        "expired": message.expired_count,
        "hits": message.hit_count,
        "size": message.size_bytes,
        "oldest": _times.iso_or_none(message, "oldest_create_time"),
        "newest": _times.iso_or_none(message, "newest_create_time"),
    }
