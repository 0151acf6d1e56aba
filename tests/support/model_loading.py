"""Model loading: what the model store gives a batch; all there is, or only the heads of queues."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from clearway_service.core.proposals import Proposal, Waiter
from clearway_service.core.runs import FlowRunSpec, RunKind, TaskRunSpec
from clearway_service.core.snapshot import Limit, RunEntry, RunKey, Snapshot

if TYPE_CHECKING:
    from support.model import Model

EndedRuns = dict[tuple[RunKind, str], str]


class Depths(NamedTuple):
    """How much of a queue is loaded at once: as in ``store.loading``, but small, so that its end is met."""

    head: int = 1
    woken: int = 3
    elders: int = 1


class ModelLoading:
    """Loads one batch's snapshot.

    Args:
        model: The store.
        proposals: The batch.
        ended_runs: Runs that lose their session.
        woken_tags: Tags whose waiters are to be decided about again.
    """

    def __init__(
        self, model: Model, proposals: Sequence[Proposal], ended_runs: EndedRuns, woken_tags: set[str]
    ) -> None:
        self._model = model
        self._depths = model.depths
        self._proposals = proposals
        self._ended_runs = ended_runs
        self._woken_tags = woken_tags
        self._specs = [proposal.create for proposal in proposals if proposal.create is not None]
        self._snapshot = Snapshot()

    def load(self, now: int) -> Snapshot:
        """Return the snapshot, as of ``now``."""
        snapshot = self._snapshot
        self._load_runs()
        for proposal in self._proposals:
            if (recorded := self._model.recorded(proposal.id)) is not None:
                snapshot.recorded[proposal.id] = recorded
        self._load_limits()
        if snapshot.limits:
            self._load_waiters_runs()
        self._load_waiting()
        for tag, run_id in self._model.slots:
            if run_id in snapshot.runs:
                snapshot.slots.setdefault(run_id, set()).add(tag)
        self._load_cache_and_sessions(now)
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
        flows = {spec.flow_run_id for spec in self._specs} & runs.keys()
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
        tags = self._woken_tags.union(*(run.limited_tags for run in (*loaded, *self._specs)))
        if self._depths is None:
            tags |= model.limits.keys()
        for tag in sorted(tags):
            if tag not in model.limits and tag not in self._woken_tags:
                continue
            queue, limit = model.queue(tag), self._limit(tag)
            depth = len(queue) if self._depths is None else self._depth(tag)
            limit.queue, limit.complete, limit.queued = queue[:depth], len(queue) <= depth, len(queue)
            limit.cut = None if limit.complete else limit.queue[-1].position
            limits[tag] = limit

    def _limit(self, tag: str) -> Limit:
        """Return a limit with its elders, and without its queue."""
        model = self._model
        slots = model.limits.get(tag)
        limit = Limit(tag, slots, 0 if slots is None else len(model.holders(tag)), complete=False)
        elders = model.eldest(tag)
        depth = len(elders)
        if self._depths is not None:
            closed = slots == 0 and tag in self._woken_tags
            depth = self._depths.woken if closed else self._depths.elders
        limit.elders, limit.elders_complete = elders[:depth], len(elders) <= depth
        return limit

    def _depth(self, tag: str) -> int:
        assert self._depths is not None
        head = len(self._proposals) + self._depths.head
        return self._depths.woken if tag in self._woken_tags else min(head, self._depths.woken)

    def _load_waiters_runs(self) -> None:
        """Load the runs of those in the queues, and the limits of their other tags without the queues."""
        snapshot = self._snapshot
        waiters = [waiter for limit in snapshot.limits.values() for waiter in limit.queue]
        waiters += [elder for limit in snapshot.limits.values() if limit.limit == 0 for elder in limit.elders]
        unknown = {waiter.proposal.run_id for waiter in waiters} - snapshot.runs.keys()
        self._add_runs(unknown)
        tags = {tag for run_id in unknown for tag in snapshot.runs[run_id].run.limited_tags}
        for tag in sorted(tags & self._model.limits.keys() - snapshot.limits.keys()):
            snapshot.limits[tag] = self._limit(tag)

    def _load_waiting(self) -> None:
        """Load who waits: the proposals of the batch, and those of the runs that it is about."""
        snapshot = self._snapshot
        ids = {proposal.id for proposal in self._proposals}
        runs = {id_ for id_, entry in snapshot.runs.items() if entry.run.limited_tags and snapshot.limits}
        for waiter in sorted(self._model.waiters.values(), key=_place):
            if waiter.proposal.id in ids or waiter.proposal.run_id in runs:
                snapshot.waiting.setdefault(waiter.proposal.run_id, []).append(waiter)

    def _load_cache_and_sessions(self, now: int) -> None:
        model, snapshot = self._model, self._snapshot
        waiters = [waiter.proposal for limit in snapshot.limits.values() for waiter in limit.queue]
        asked = (*self._proposals, *waiters)
        for key in {proposal.state.cache_key for proposal in asked} & model.cache.keys():
            entry = model.cache[key]
            if entry.expires is None or entry.expires > now:
                snapshot.cache[key] = model.states[entry.state_id].state
        wanted = {proposal.session_id for proposal in asked}
        wanted |= {entry.progress.session_id for entry in snapshot.runs.values() if entry.progress}
        for id_ in wanted & model.sessions.keys():
            session = model.sessions[id_]
            if not session.ended:
                snapshot.open_sessions.add(id_)
            if not session.ended and session.expires > now:
                snapshot.holders[id_] = session.client_name


def _place(waiter: Waiter) -> int:
    return waiter.position


def _key(run: FlowRunSpec | TaskRunSpec) -> RunKey | None:
    return (run.flow_run_id, run.task_key, run.dynamic_key) if isinstance(run, TaskRunSpec) else None
