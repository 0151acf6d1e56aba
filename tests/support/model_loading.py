"""Model loading: the snapshots of the model store, with whole queues or only their heads."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from clearway_service.core.moment import Moment
from clearway_service.core.proposals import Proposal, Waiter
from clearway_service.core.queue_head import QueueHead
from clearway_service.core.resources import Resource, keys_of
from clearway_service.core.runs import FlowRunSpec, RunKind, TaskRunSpec
from clearway_service.core.snapshot import Limit, RunEntry, RunKey, Snapshot
from clearway_service.core.states import ProposedState, StateType
from clearway_service.core.turn import Work

if TYPE_CHECKING:
    from support.model import Model


class Depths(NamedTuple):
    """How much of a queue is loaded at once; small, so that tests reach the end of loaded heads."""

    head: int = 1
    woken: int = 3
    elders: int = 1


class ModelLoading:
    """Loads one turn's snapshot.

    Args:
        model: The store.
        work: The work of the turn.
    """

    def __init__(self, model: Model, work: Work) -> None:
        self._model = model
        self._depths = model.depths
        proposals = self._proposals = [*work.proposals, *work.recalled]
        self._ended_runs = work.ended_runs
        self._woken = work.woken
        self._specs = [proposal.create for proposal in proposals if proposal.create is not None]
        self._snapshot = Snapshot()
        self._served: set[str] = set()

    def load(self, moment: Moment) -> Snapshot:
        """Return the snapshot, as of ``moment``."""
        snapshot, now = self._snapshot, moment.now
        self._load_runs()
        for proposal in self._proposals:
            if (recorded := self._model.recorded(proposal.id)) is not None:
                snapshot.recorded[proposal.id] = recorded
        self._load_cache(now, self._proposals)
        self._load_served(now)
        self._load_limits()
        self._load_waiters_runs()
        self._load_waiting()
        self._load_waiters_keys(now)
        for resource, run_id in self._model.slots:
            if run_id in snapshot.runs:
                snapshot.slots.setdefault(run_id, set()).add(resource)
        self._load_sessions(moment.steady)
        return snapshot

    def _load_runs(self) -> None:
        runs = self._model.runs
        wanted = {run_id for _kind, run_id in self._ended_runs}
        wanted |= {proposal.run_id for proposal in self._proposals}
        keys = {_key(spec) for spec in self._specs}
        wanted |= {id_ for id_, stored in runs.items() if _key(stored.run) in keys}
        parents = [runs[id_].run for id_ in wanted & runs.keys()]
        wanted |= {run.parent_task_run_id for run in parents if isinstance(run, FlowRunSpec)}
        self._add_runs(set(runs) if self._depths is None else wanted)
        flows = {id_ for spec in self._specs for id_ in (spec.flow_run_id, spec.id)} & runs.keys()
        self._snapshot.flow_runs = {id_ for id_ in flows if runs[id_].kind is RunKind.FLOW}

    def _add_runs(self, wanted: set[str]) -> None:
        snapshot, runs = self._snapshot, self._model.runs
        for id_ in sorted(wanted & runs.keys() - snapshot.runs.keys()):
            kind, run, progress = runs[id_]
            snapshot.runs[id_] = RunEntry(kind, run, progress)
            if (key := _key(run)) is not None:
                snapshot.task_runs_by_key[key] = id_

    def _load_limits(self) -> None:
        model, limits = self._model, self._snapshot.limits
        loaded = [entry.run for entry in self._snapshot.runs.values()]
        wanted = self._woken.union(*(run.limited for run in (*loaded, *self._specs)))
        wanted -= {Resource.of_key(key) for key in self._snapshot.cache}
        asked = (p.state for p in self._proposals if p.state.type == StateType.RUNNING)
        wanted |= self._keys(asked) | self._computed()
        if self._depths is None:
            wanted |= {Resource.of_tag(tag) for tag in model.limits}
        for resource in sorted(wanted):
            unlimited = not resource.is_key and resource.name not in model.limits
            if unlimited and resource not in self._woken:
                continue
            queue, limit = model.queue(resource), self._limit(resource)
            depth = len(queue) if self._depths is None else self._depth(resource)
            limit.queue = QueueHead.of(queue, depth)
            limit.queue.length = len(queue)
            limits[resource] = limit

    def _limit(self, resource: Resource) -> Limit:
        """Return a limit with its elders, and without its queue."""
        model, taken, unknown = self._model, len(self._model.holders(resource)), QueueHead.unknown()
        if resource.is_key:
            return Limit(resource, 1, taken, unknown)
        slots = model.limits.get(resource.name)
        elders = model.eldest(resource.name)
        depth = len(elders)
        if self._depths is not None:
            closed = slots == 0 and resource in self._woken
            depth = self._depths.woken if closed else self._depths.elders
        return Limit(resource, slots, 0 if slots is None else taken, unknown, QueueHead.of(elders, depth))

    def _depth(self, resource: Resource) -> int:
        assert self._depths is not None
        leaving = sum(proposal.state.type != StateType.RUNNING for proposal in self._proposals)
        head = leaving + self._depths.head
        return self._depths.woken if resource in self._woken else min(head, self._depths.woken)

    def _keys(self, states: Iterable[ProposedState]) -> set[Resource]:
        cached = self._snapshot.cache
        keyed = (state for state in states if state.cache_key)
        return {Resource.of_key(s.cache_key) for s in keyed if s.refresh_cache or s.cache_key not in cached}

    def _computed(self) -> set[Resource]:
        loaded = [entry.progress for entry in self._snapshot.runs.values() if entry.progress]
        states = [progress.state for progress in loaded if progress.state.type == StateType.RUNNING]
        return {Resource.of_key(state.cache_key) for state in states if state.cache_key}

    def _load_served(self, now: int) -> None:
        """Load waiters with a cache key that has a result, or may get one in this batch."""
        keys = {p.state.cache_key for p in self._proposals if p.state.type == StateType.COMPLETED} - {""}
        for key in sorted(keys | {key for key in keys_of(self._woken) if self._model.has_result(key, now)}):
            waiters = self._model.with_key(key)
            depth = len(waiters) if self._depths is None else self._depths.woken
            self._served |= {waiter.proposal.id for waiter in waiters[:depth]}
            self._snapshot.keyed[key] = QueueHead.of(waiters, depth)

    def _waiters(self) -> list[Waiter]:
        """Return the loaded waiters that may be decided again."""
        snapshot = self._snapshot
        waiters = [waiter for limit in snapshot.limits.values() for waiter in limit.queue]
        waiters += [elder for limit in snapshot.limits.values() if limit.limit == 0 for elder in limit.elders]
        ids = self._served | {proposal.id for proposal in self._proposals}
        waiters += [waiter for id_, waiter in self._model.waiters.items() if id_ in ids]
        return waiters + [waiter for waiting in snapshot.waiting.values() for waiter in waiting]

    def _load_waiters_runs(self) -> None:
        """Load the waiters' runs, and the limits of their other tags without the queues."""
        snapshot = self._snapshot
        unknown = {waiter.proposal.run_id for waiter in self._waiters()} - snapshot.runs.keys()
        self._add_runs(unknown)
        tags = {tag for run_id in unknown for tag in snapshot.runs[run_id].run.limited}
        for tag in sorted(tags - snapshot.limits.keys()):
            if tag.name in self._model.limits:
                snapshot.limits[tag] = self._limit(tag)

    def _load_waiting(self) -> None:
        """Load the batch's own proposals that wait already, and the waiters of its runs."""
        snapshot = self._snapshot
        ids = self._served | {proposal.id for proposal in self._proposals}
        runs = {id_ for id_, entry in snapshot.runs.items() if entry.kind is RunKind.TASK}
        for waiter in sorted(self._model.waiters.values(), key=_place):
            if waiter.proposal.id in ids or waiter.proposal.run_id in runs:
                snapshot.waiting.setdefault(waiter.proposal.run_id, []).append(waiter)

    def _load_cache(self, now: int, asked: Iterable[Proposal]) -> None:
        keys = {proposal.state.cache_key for proposal in asked}
        for key in sorted(keys | keys_of(self._woken)):
            if self._model.has_result(key, now):
                self._snapshot.cache[key] = self._model.states[self._model.cache[key].state_id].state

    def _load_waiters_keys(self, now: int) -> None:
        """Load the cache entries of the waiters' keys, and the runs that compute them, without the queues."""
        waiting = [waiter.proposal for waiter in self._waiters()]
        self._load_cache(now, waiting)
        states = [proposal.state for proposal in waiting]
        for key in sorted((self._keys(states) | self._computed()) - self._snapshot.limits.keys()):
            self._snapshot.limits[key] = self._limit(key)

    def _load_sessions(self, steady: int) -> None:
        model, snapshot = self._model, self._snapshot
        waiters = [waiter.proposal for limit in snapshot.limits.values() for waiter in limit.queue]
        asked = (*self._proposals, *waiters)
        wanted = {proposal.session_id for proposal in asked}
        wanted |= {entry.progress.session_id for entry in snapshot.runs.values() if entry.progress}
        for id_ in wanted & model.sessions.keys():
            session = model.sessions[id_]
            if not session.ended:
                snapshot.open_sessions.add(id_)
            if not session.ended and session.expires > steady:
                snapshot.holders[id_] = session.client_name


def _place(waiter: Waiter) -> int:
    return waiter.position


def _key(run: FlowRunSpec | TaskRunSpec) -> RunKey | None:
    return (run.flow_run_id, run.task_key, run.dynamic_key) if isinstance(run, TaskRunSpec) else None
