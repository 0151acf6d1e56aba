"""Loading queues: the limits, slots and waiters that one batch of proposals needs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from clearway_service.core.decisions import Ancestor
from clearway_service.core.proposals import Proposal, Waiter
from clearway_service.core.queue_head import QueueHead
from clearway_service.core.resources import Resource, keys_of, tags_of
from clearway_service.core.runs import FlowRunSpec, RunKind, TaskRunSpec
from clearway_service.core.snapshot import Limit, Snapshot
from clearway_service.core.states import ProposedState, StateType
from clearway_service.store import rendered_statements as statements
from clearway_service.store.loading_parts import Cursor, add_task_runs, array, ids_array, load_cache
from clearway_service.store.resources import resource_from, resource_to
from clearway_service.store.row_cache import RowCache
from clearway_service.store.rows import waiter_from

# A queue's head is loaded as far as this batch can need it: one waiter for each run that may leave Running,
# and this many more.
_HEAD = 8
# How many waiters one turn may decide if a tag's limit was changed; the rest follow in the next turns.
_WOKEN = 256
# How many elders of a tag are loaded: only the first is counted, and the others follow when it leaves.
_ELDERS = 8


class QueueLoading:
    """Loads limits, slots and the heads of queues into a snapshot whose runs are already loaded.

    Args:
        cursor: The connection, inside the batch's transaction.
        snapshot: The snapshot, with the runs and the cache entries of the batch.
        proposals: The batch.
        woken: Resources whose waiters are decided again.
        now: The service's clock.
        row_cache: Rows that need not be read again.
    """

    def __init__(
        self,
        cursor: Cursor,
        snapshot: Snapshot,
        proposals: Sequence[Proposal],
        woken: set[Resource],
        now: int,
        row_cache: RowCache,
    ) -> None:
        self._cursor = cursor
        self._snapshot = snapshot
        self._proposals = proposals
        self._woken = woken
        self._now = now
        self._row_cache = row_cache

    def load(self) -> None:
        """Load what the batch can need."""
        waits = self._anybody_waits()
        if waits:
            self._load_waiting(statements.WAITERS_BY_ID, [proposal.id for proposal in self._proposals])
            self._load_served()
        if resources := self._resources():
            self._load_limits(resources)
        if waits:
            self._load_heads()
            self._load_waiters_runs()
            tasks = [id_ for id_, entry in self._snapshot.runs.items() if entry.kind is RunKind.TASK]
            self._load_waiting(statements.WAITERS_BY_RUN, tasks)
            self._load_waiters_keys()
        if self._snapshot.limits:
            self._load_slots()
            self._load_ancestors()

    def _anybody_waits(self) -> bool:
        row_cache = self._row_cache
        if not row_cache.nobody_waits:
            row_cache.nobody_waits = self._cursor.execute(statements.LAST_PLACE).fetchone()[0] is None
        return not row_cache.nobody_waits

    def _resources(self) -> set[Resource]:
        """Return the tags of the batch's runs, and the cache keys that they compute or ask for."""
        cached = self._snapshot.cache
        found = {woken for woken in self._woken if not (woken.is_key and woken.name in cached)}
        for run in self._task_runs():
            found.update(run.limited)
        asked = [p.state for p in self._proposals if p.state.cache_key and p.state.type == StateType.RUNNING]
        if asked:
            found |= self._keys(asked)
        return found | self._computed()

    def _task_runs(self) -> Iterator[TaskRunSpec | FlowRunSpec]:
        yield from (entry.run for entry in self._snapshot.runs.values() if entry.run.tags)
        yield from (p.create for p in self._proposals if p.create is not None and p.create.tags)

    def _keys(self, states: Iterable[ProposedState]) -> set[Resource]:
        """Return the cache keys that runs would compute: those with a live entry are served from it."""
        cached = self._snapshot.cache
        keyed = (state for state in states if state.cache_key)
        return {Resource.of_key(s.cache_key) for s in keyed if s.refresh_cache or s.cache_key not in cached}

    def _computed(self) -> set[Resource]:
        """Return the cache keys that the snapshot's runs compute."""
        return {
            Resource.of_key(entry.progress.state.cache_key)
            for entry in self._snapshot.runs.values()
            if entry.progress is not None
            and entry.progress.state.cache_key
            and entry.progress.state.type == StateType.RUNNING
        }

    def _load_limits(self, resources: set[Resource]) -> None:
        wanted = resources - self._snapshot.limits.keys()
        if not wanted:
            return
        cursor, limits = self._cursor, self._snapshot.limits
        limits.update({key: Limit(key, 1, 0) for key in wanted if key.is_key})
        if tags := tags_of(wanted):
            for name, slots in cursor.execute(statements.LIMITS_BY_TAG, (array(tags),)):
                tag = Resource.of_tag(name)
                limits[tag] = Limit(tag, slots, 0)
        limited = wanted & limits.keys()
        if limited:
            for column, taken in cursor.execute(statements.SLOTS_TAKEN, (_array(limited),)):
                limits[resource_from(column)].taken = taken
        for resource in (self._woken & wanted) - limited:
            limits[resource] = Limit(resource, None, 0)

    def _load_heads(self) -> None:
        """Load the heads of the queues, as far as this batch can need them."""
        limits = self._snapshot.limits
        if not limits:
            return
        rows = self._cursor.execute(statements.QUEUED_BLOCKERS, (_array(limits),))
        queued = {resource_from(column) for (column,) in rows}
        running = sum(proposal.state.type == StateType.RUNNING for proposal in self._proposals)
        leaving = len(self._proposals) - running
        for limit in limits.values():
            woken = limit.resource in self._woken
            if limit.resource in queued:
                depth = _WOKEN if woken else min(leaving + _HEAD, _WOKEN)
                column = resource_to(limit.resource)
                limit.queue = self._head(statements.WAITERS_BY_BLOCKER, column, depth)
                # If no proposal can join the queue, its length does not matter.
                if running and not limit.queue.whole:
                    limit.queue.length = self._count(column)
            self._load_elders(limit, _WOKEN if woken and limit.limit == 0 else _ELDERS)

    def _head(self, sql: str, of: str, depth: int) -> QueueHead:
        """Return the first ``depth`` waiters that ``sql`` finds."""
        rows = self._cursor.execute(sql, (of, depth + 1, 0))
        return QueueHead.of([waiter_from(row) for row in rows], depth)

    def _count(self, column: str) -> int:
        count: int = self._cursor.execute(statements.WAITERS_COUNT, (column,)).fetchone()[0]
        return count

    def _load_elders(self, limit: Limit, depth: int) -> None:
        if not limit.resource.is_key:
            limit.elders = self._head(statements.ELDERS_BY_TAG, limit.resource.name, depth)

    def _load_served(self) -> None:
        """Load the waiters, in any queue, with a cache key that has a result, or soon will have."""
        keys = keys_of(self._woken) & self._snapshot.cache.keys()
        keys |= {p.state.cache_key for p in self._proposals if p.state.type == StateType.COMPLETED}
        keys.discard("")
        if not keys:
            return
        waiting = [key for (key,) in self._cursor.execute(statements.WAITING_KEYS, (array(keys),))]
        for key in waiting:
            head = self._head(statements.WAITERS_BY_KEY, key, _WOKEN)
            self._add_waiting(head)
            self._snapshot.keyed[key] = head

    def _load_waiters_runs(self) -> None:
        """Load the runs of waiters that may be decided again, and the limits of their other tags."""
        snapshot = self._snapshot
        unknown = {waiter.proposal.run_id for waiter in self._waiters()} - snapshot.runs.keys()
        if not unknown:
            return
        add_task_runs(snapshot, self._cursor.execute(statements.TASK_RUNS_BY_ID, (ids_array(unknown),)))
        self._load_bare({tag for run_id in unknown for tag in snapshot.runs[run_id].run.limited})

    def _load_waiters_keys(self) -> None:
        """Load the cache entries of the waiters' keys, and the runs that compute them."""
        states = [waiter.proposal.state for waiter in self._waiters()]
        load_cache(self._cursor, self._snapshot, {state.cache_key for state in states}, self._now)
        self._load_bare(self._keys(states) | self._computed())

    def _load_bare(self, resources: set[Resource]) -> None:
        """Load limits without their queues: while a proposal waits there, no slot is free or unreserved."""
        known = set(self._snapshot.limits)
        self._load_limits(resources)
        for resource in self._snapshot.limits.keys() - known:
            limit = self._snapshot.limits[resource]
            limit.queue = QueueHead.unknown()
            self._load_elders(limit, _ELDERS)

    def _waiters(self) -> Iterator[Waiter]:
        """Yield the loaded waiters that may be decided again."""
        for limit in self._snapshot.limits.values():
            yield from limit.queue
            if limit.limit == 0:
                yield from limit.elders
        for waiters in self._snapshot.waiting.values():
            yield from waiters

    def _load_waiting(self, sql: str, ids: Sequence[str]) -> None:
        """Load the proposals in the queues that ``sql`` finds by ``ids``."""
        if ids:
            self._add_waiting(waiter_from(row) for row in self._cursor.execute(sql, (ids_array(ids),)))

    def _add_waiting(self, waiters: Iterable[Waiter]) -> None:
        known = {waiter.proposal.id for waiting in self._snapshot.waiting.values() for waiter in waiting}
        for waiter in waiters:
            if waiter.proposal.id not in known:
                self._snapshot.waiting.setdefault(waiter.proposal.run_id, []).append(waiter)

    def _load_ancestors(self) -> None:
        """Load the ancestors of the runs that ask for slots or a key, if any are held at all."""
        if not any(limit.taken for limit in self._snapshot.limits.values()):
            return
        asking = {waiter.proposal.run_id for waiter in self._waiters() if waiter.proposal.state.single_flight}
        for proposal in self._proposals:
            if proposal.state.type == StateType.RUNNING:
                asking.add(proposal.run_id)
                if (spec := proposal.create) is not None:
                    key = spec.flow_run_id, spec.task_key, spec.dynamic_key
                    asking.add(self._snapshot.task_runs_by_key.get(key, spec.id))
        if asking:
            rows = self._cursor.execute(statements.ANCESTORS_BY_RUN, (ids_array(asking),))
            for run_id, id_, name, column in rows:
                ancestor = Ancestor(id_, name, resource_from(column))
                self._snapshot.ancestors.setdefault(run_id, []).append(ancestor)

    def _load_slots(self) -> None:
        """Load the slots that the Running runs hold."""
        running = [
            run_id
            for run_id, entry in self._snapshot.runs.items()
            if entry.progress is not None
            and entry.progress.state.type == StateType.RUNNING
            and (entry.run.limited_tags or entry.progress.state.cache_key)
        ]
        if running and self._snapshot.limits:
            for column, run_id in self._cursor.execute(statements.SLOTS_BY_RUN, (ids_array(running),)):
                self._snapshot.slots.setdefault(run_id, set()).add(resource_from(column))


def _array(resources: Iterable[Resource]) -> str:
    return array(map(resource_to, resources))
