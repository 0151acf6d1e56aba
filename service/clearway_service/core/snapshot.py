"""Snapshot: the part of the store that one batch of proposals needs."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

from clearway_service.core.decisions import Ancestor, Decision
from clearway_service.core.proposals import Waiter
from clearway_service.core.queue_head import QueueHead
from clearway_service.core.resources import Resource
from clearway_service.core.runs import FlowRunSpec, Progress, RunKind, TaskRunSpec
from clearway_service.core.states import State

RunKey = tuple[str, str, str]


class Recorded(NamedTuple):
    """The recorded decision on a proposal, and the run's state that was returned with it."""

    kind: RunKind
    run_id: str
    decision: Decision
    state: State


class Stage(IntEnum):
    """What the batch has done to a run."""

    LOADED = 0
    CHANGED = 1
    CREATED = 2


@dataclass(slots=True)
class RunEntry:
    """A run as the batch sees it: as loaded, or as an earlier proposal of the batch left it."""

    kind: RunKind
    run: FlowRunSpec | TaskRunSpec
    progress: Progress | None
    stage: Stage = Stage.LOADED


@dataclass(slots=True)
class Limit:
    """A resource with its holders and waiters. A cache key has a limit of 1, for single-flight runs only.

    Attributes:
        resource: The resource.
        limit: How many runs may hold it; None for a tag whose limit was deleted.
        taken: How many runs hold it.
        queue: The waiters in its queue.
        elders: Waiters in any queue that need slots of this tag *and* of others.
    """

    resource: Resource
    limit: int | None
    taken: int
    queue: QueueHead = field(default_factory=QueueHead)
    elders: QueueHead = field(default_factory=QueueHead)

    @property
    def exhausted(self) -> bool:
        """Whether none of its waiters can be decided now. A limit of 0 decides them all: they are aborted."""
        return self.limit is not None and self.limit > 0 and self.taken >= self.limit


@dataclass(slots=True)
class Snapshot:
    """What the store holds of all that one batch is about.

    Attributes:
        runs: By id.
        task_runs_by_key: Ids by flow run, task key and dynamic key.
        flow_runs: The ids, of those asked for, that are flow runs.
        task_runs: The ids that new runs are to have and that task runs have already.
        recorded: Decisions that were made before, by proposal id.
        waiting: The proposals in the queues, by run id, of the runs that the batch is about, and of those
            that may have what they wait for from the cache.
        keyed: Who waits with a cache key that has a result, or may have one soon, by key, in whatever queue;
            they are in ``waiting`` too.
        limits: By resource.
        slots: What a run holds, by run id.
        ancestors: Those whose code waits, itself or through others, for a run of the batch, by that run's id,
            once for each resource that they hold; the nearest first.
        cache: The live cache entries' states, by key.
        open_sessions: The sessions that have not ended, of those that the batch is about.
        holders: Who has a session that is alive, for people, by its id.
    """

    runs: dict[str, RunEntry] = field(default_factory=dict)
    task_runs_by_key: dict[RunKey, str] = field(default_factory=dict)
    flow_runs: set[str] = field(default_factory=set)
    task_runs: set[str] = field(default_factory=set)
    recorded: dict[str, Recorded] = field(default_factory=dict)
    waiting: dict[str, list[Waiter]] = field(default_factory=dict)
    keyed: dict[str, QueueHead] = field(default_factory=dict)
    limits: dict[Resource, Limit] = field(default_factory=dict)
    slots: dict[str, set[Resource]] = field(default_factory=dict)
    ancestors: dict[str, list[Ancestor]] = field(default_factory=dict)
    cache: dict[str, State] = field(default_factory=dict)
    open_sessions: set[str] = field(default_factory=set)
    holders: dict[str, str] = field(default_factory=dict)
