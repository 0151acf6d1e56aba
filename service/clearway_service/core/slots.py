"""Slots: the resources that a run holds while it is Running."""

from __future__ import annotations

from collections.abc import Iterator

from clearway_service.core.changes import Changes
from clearway_service.core.queues import Queues
from clearway_service.core.resources import Resource
from clearway_service.core.runs import TaskRunSpec
from clearway_service.core.snapshot import Snapshot


class Slots:
    """Takes and frees the slots of one batch.

    Args:
        snapshot: The stored runs, limits and queues that the batch needs.
        changes: Collects the slots that are taken and freed.
        queues: Notified when a resource is released.
    """

    def __init__(self, snapshot: Snapshot, changes: Changes, queues: Queues) -> None:
        self._snapshot = snapshot
        self._changes = changes
        self._queues = queues

    def take(self, run: TaskRunSpec, cache_key: str) -> None:
        """Give a run that enters Running its cache key and the slots that it does not hold yet."""
        held = self._snapshot.slots.setdefault(run.id, set())
        key = "" if run.tracks_subflow else cache_key
        for other in [resource for resource in held if resource.is_key and resource.name != key]:
            # It was Running already, with another key.
            held.remove(other)
            self._free(other, run.id)
        for resource in self._wanted(run, key):
            limit = self._snapshot.limits.get(resource)
            if limit is None or limit.limit is None or resource in held:
                continue
            limit.taken += 1
            held.add(resource)
            if (resource, run.id) in self._changes.slots_freed:
                del self._changes.slots_freed[resource, run.id]
            else:
                self._changes.slots_taken[resource, run.id] = None

    def free(self, run_id: str) -> None:
        """Free everything held by a run that leaves Running."""
        for resource in self._snapshot.slots.pop(run_id, ()):
            self._free(resource, run_id)

    def _wanted(self, run: TaskRunSpec, key: str) -> Iterator[Resource]:
        yield from run.limited
        if key:
            yield Resource.of_key(key)

    def _free(self, resource: Resource, run_id: str) -> None:
        limit = self._snapshot.limits.get(resource)
        if limit is not None:
            limit.taken -= 1
            self._queues.mark_resource(resource)
        if (resource, run_id) in self._changes.slots_taken:
            del self._changes.slots_taken[resource, run_id]
        else:
            self._changes.slots_freed[resource, run_id] = None
