"""Slots: what a run holds while it is Running, on tags with limits and on the cache key that it computes."""

from __future__ import annotations

from collections.abc import Iterator

from clearway_service.core.changes import Changes
from clearway_service.core.keys import is_key_tag, key_tag
from clearway_service.core.queues import Queues
from clearway_service.core.runs import TaskRunSpec
from clearway_service.core.snapshot import Snapshot


class Slots:
    """The slots of one batch.

    Args:
        snapshot: What the batch is about.
        changes: Collects the slots that are taken and freed.
        queues: Told of the tags on which slots come free.
    """

    def __init__(self, snapshot: Snapshot, changes: Changes, queues: Queues) -> None:
        self._snapshot = snapshot
        self._changes = changes
        self._queues = queues

    def take(self, run: TaskRunSpec, cache_key: str) -> None:
        """Give a run that enters Running what it does not hold of its tags' slots, and its key."""
        held = self._snapshot.slots.setdefault(run.id, set())
        key = "" if run.tracks_subflow else cache_key
        for other in [tag for tag in held if is_key_tag(tag) and tag != key_tag(key)]:
            # It runs once more, and for another key than before.
            held.remove(other)
            self._free(other, run.id)
        for tag in self._wanted(run, key):
            limit = self._snapshot.limits.get(tag)
            if limit is None or limit.limit is None or tag in held:
                continue
            limit.taken += 1
            held.add(tag)
            if (tag, run.id) in self._changes.slots_freed:
                del self._changes.slots_freed[tag, run.id]
            else:
                self._changes.slots_taken[tag, run.id] = None

    def free(self, run_id: str) -> None:
        """Take back all that a run holds, which leaves Running."""
        for tag in self._snapshot.slots.pop(run_id, ()):
            self._free(tag, run_id)

    def _wanted(self, run: TaskRunSpec, key: str) -> Iterator[str]:
        yield from run.limited_tags
        if key:
            yield key_tag(key)

    def _free(self, tag: str, run_id: str) -> None:
        limit = self._snapshot.limits.get(tag)
        if limit is not None:
            limit.taken -= 1
            self._queues.free(tag)
        if (tag, run_id) in self._changes.slots_taken:
            del self._changes.slots_taken[tag, run_id]
        else:
            self._changes.slots_freed[tag, run_id] = None
