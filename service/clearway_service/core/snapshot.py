"""Snapshot: what the store holds of all that one batch of proposals is about."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from clearway_service.core.decisions import Ancestor, Decision
from clearway_service.core.proposals import Waiter
from clearway_service.core.runs import FlowRunSpec, Progress, RunKind, TaskRunSpec
from clearway_service.core.states import State

RunKey = tuple[str, str, str]


class Recorded(NamedTuple):
    """The decision that was recorded for a proposal, and the state that it was answered with."""

    kind: RunKind
    run_id: str
    decision: Decision
    state: State


@dataclass(slots=True)
class RunEntry:
    """A run as the batch sees it: as it was loaded, or as an earlier proposal of the batch left it."""

    kind: RunKind
    run: FlowRunSpec | TaskRunSpec
    progress: Progress | None
    created: bool = False
    changed: bool = False


@dataclass(slots=True)
class Limit:
    """A tag's limit and its slots; or, for a tag that stands for a cache key, who computes that.

    Attributes:
        tag: The tag.
        limit: How many runs may hold a slot; None for a tag that has lost its limit.
        taken: How many do.
        queue: The head of the tag's queue, the earliest first.
        complete: Whether ``queue`` is the whole of it.
        cut: The position of the last one in ``queue`` as it was loaded, where others stand behind it.
        queued: How many stand in the tag's queue; known where a proposal of the batch may join it.
        elders: The earliest of those who need slots of this tag *and* of others, wherever they stand.
        elders_complete: Whether ``elders`` is all of them.
    """

    tag: str
    limit: int | None
    taken: int
    queue: list[Waiter] = field(default_factory=list)
    complete: bool = True
    cut: int | None = None
    queued: int = 0
    elders: list[Waiter] = field(default_factory=list)
    elders_complete: bool = True

    @property
    def exhausted(self) -> bool:
        """Whether no waiter of the tag can be answered now. A limit of 0 answers all: it aborts them."""
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
        unloaded: Cache keys that more proposals wait with than are in ``waiting``.
        limits: By tag.
        slots: The tags on which a run holds a slot, by run id.
        ancestors: Those whose code waits, itself or through others, for a run of the batch, by that run's id,
            once for each slot that they hold; the nearest first.
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
    unloaded: set[str] = field(default_factory=set)
    limits: dict[str, Limit] = field(default_factory=dict)
    slots: dict[str, set[str]] = field(default_factory=dict)
    ancestors: dict[str, list[Ancestor]] = field(default_factory=dict)
    cache: dict[str, State] = field(default_factory=dict)
    open_sessions: set[str] = field(default_factory=set)
    holders: dict[str, str] = field(default_factory=dict)
