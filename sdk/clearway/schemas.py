"""What the service answers about runs, limits, cache entries and logs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from clearway._base.timestamps import (
    duration_from_proto,
    optional_time,
    timestamp_from_proto,
)
from clearway._schemas.slots import LimitExplanation, SlotHolder, SlotWaiter, UpstreamRun, WaitCause
from clearway.run_errors import RunError
from clearway.states import State
from clearway.v1 import (
    cache_pb2,
    concurrency_limit_pb2,
    explanation_pb2,
    flow_run_pb2,
    log_pb2,
    task_run_pb2,
)

__all__ = [
    "CacheEntry",
    "ConcurrencyLimit",
    "FlowRun",
    "LimitExplanation",
    "Log",
    "RunError",
    "SlotHolder",
    "SlotWaiter",
    "TaskRun",
    "TaskRunExplanation",
    "UpstreamRun",
    "WaitCause",
]


@dataclass(frozen=True, slots=True)
class FlowRun:
    """One run of a flow.

    Attributes:
        id: The run's UUID.
        name: The run's own name, for people.
        flow_name: The flow's name.
        flow_version: The flow's version; empty for none.
        parameters_json: The flow's arguments, as a JSON object.
        tags: Sorted.
        retries: How many times a failed run is tried again.
        retry_delay: How long it waits before each retry.
        parent_task_run_id: For a subflow, the task run that tracks it in its parent; empty otherwise.
        state: The state it is in.
        run_count: How many times it entered Running.
        created: When the service first heard of it.
        expected_start_time: When it is to begin; None where it was not scheduled.
        start_time: When it first entered Running; None before.
        end_time: When it ended; None before.
        total_run_time: The time spent in Running, without the present attempt.
    """

    id: str
    name: str
    flow_name: str
    flow_version: str
    parameters_json: str
    tags: tuple[str, ...]
    retries: int
    retry_delay: timedelta
    parent_task_run_id: str
    state: State[Any]
    run_count: int
    created: datetime
    expected_start_time: datetime | None
    start_time: datetime | None
    end_time: datetime | None
    total_run_time: timedelta

    @staticmethod
    def from_proto(message: flow_run_pb2.FlowRun) -> FlowRun:
        """Return the run in a message."""
        return FlowRun(
            id=message.id,
            name=message.name,
            flow_name=message.flow_name,
            flow_version=message.flow_version,
            parameters_json=message.parameters_json,
            tags=tuple(message.tags),
            retries=message.retries,
            retry_delay=duration_from_proto(message.retry_delay),
            parent_task_run_id=message.parent_task_run_id,
            state=State.from_proto(message.state),
            run_count=message.run_count,
            created=timestamp_from_proto(message.created),
            expected_start_time=optional_time(message, "expected_start_time"),
            start_time=optional_time(message, "start_time"),
            end_time=optional_time(message, "end_time"),
            total_run_time=duration_from_proto(message.total_run_time),
        )


@dataclass(frozen=True, slots=True)
class TaskRun:
    """One run of a task.

    Attributes:
        id: The run's UUID.
        flow_run_id: The flow run it belongs to.
        task_key: Equal for all runs of one task.
        dynamic_key: Tells apart the runs of one task in one flow run.
        name: The run's own name, for people.
        task_version: The task's version; empty for none.
        tags: Sorted.
        retries: How many times a failed run is tried again.
        retry_delays: How long it waits before its first retry, its second and so on; the last holds for those
            after it.
        retry_jitter_factor: How far these are spread at random; 0 for not at all.
        task_inputs: The upstream runs by parameter, as UUIDs; the first 10,000.
        tracks_subflow: Whether it stands for a subflow in its parent.
        state: The state it is in.
        run_count: How many times it entered Running.
        created: When the service first heard of it.
        expected_start_time: When it is to begin; None where it was not scheduled.
        start_time: When it first entered Running; None before.
        end_time: When it ended; None before.
        total_run_time: The time spent in Running, without the present attempt.
    """

    id: str
    flow_run_id: str
    task_key: str
    dynamic_key: str
    name: str
    task_version: str
    tags: tuple[str, ...]
    retries: int
    retry_delays: tuple[timedelta, ...]
    retry_jitter_factor: float
    task_inputs: dict[str, tuple[str, ...]]
    tracks_subflow: bool
    state: State[Any]
    run_count: int
    created: datetime
    expected_start_time: datetime | None
    start_time: datetime | None
    end_time: datetime | None
    total_run_time: timedelta

    @staticmethod
    def from_proto(message: task_run_pb2.TaskRun) -> TaskRun:
        """Return the run in a message."""
        return TaskRun(
            id=message.id,
            flow_run_id=message.flow_run_id,
            task_key=message.task_key,
            dynamic_key=message.dynamic_key,
            name=message.name,
            task_version=message.task_version,
            tags=tuple(message.tags),
            retries=message.retries,
            retry_delays=tuple(map(duration_from_proto, message.retry_delays)),
            retry_jitter_factor=message.retry_jitter_factor,
            task_inputs={item.parameter: tuple(item.task_run_ids) for item in message.inputs},
            tracks_subflow=message.tracks_subflow,
            state=State.from_proto(message.state),
            run_count=message.run_count,
            created=timestamp_from_proto(message.created),
            expected_start_time=optional_time(message, "expected_start_time"),
            start_time=optional_time(message, "start_time"),
            end_time=optional_time(message, "end_time"),
            total_run_time=duration_from_proto(message.total_run_time),
        )


@dataclass(frozen=True, slots=True)
class ConcurrencyLimit:
    """How many task runs with a tag may be Running at once.

    Attributes:
        id: The limit's UUID.
        tag: The tag that it is on.
        concurrency_limit: How many; 0 aborts all that would run.
        active_slots: The task runs that hold a slot, in the order in which they took it. In a list of limits
            the first 10,000.
        waiting: How many runs wait for a slot.
        created: When the limit was first set.
        updated: When it was last changed.
        holders: Who holds the slots, in the same order. Empty in a list of limits.
        waiters: Who stands in the queue, the first 100, the next one first; ``read_slot_waiters`` has all.
            Empty in a list of limits.
        taken: How many runs hold a slot.
    """

    id: str
    tag: str
    concurrency_limit: int
    active_slots: tuple[str, ...]
    waiting: int
    created: datetime
    updated: datetime
    holders: tuple[SlotHolder, ...] = ()
    waiters: tuple[SlotWaiter, ...] = ()
    taken: int = 0

    @staticmethod
    def from_proto(message: concurrency_limit_pb2.ConcurrencyLimit) -> ConcurrencyLimit:
        """Return the limit in a message."""
        return ConcurrencyLimit(
            id=message.id,
            tag=message.tag,
            concurrency_limit=message.limit,
            active_slots=tuple(message.active_slots),
            waiting=message.waiting,
            created=timestamp_from_proto(message.created),
            updated=timestamp_from_proto(message.updated),
            holders=tuple(SlotHolder.from_proto(holder) for holder in message.holders),
            waiters=tuple(SlotWaiter.from_proto(waiter) for waiter in message.waiters),
            taken=max(message.taken, len(message.active_slots)),  # a service of before has no `taken`
        )


@dataclass(frozen=True, slots=True)
class TaskRunExplanation:
    """Why a task run is where it is.

    Attributes:
        task_run: The run.
        cause: What it waits for.
        summary: The same in one sentence, for people.
        limits: The limits on its tags, with their holders, those that block it first.
        waiting_since: When it joined a queue; None where it is in none.
        scheduled_time: When it may begin; None where it was not scheduled.
        upstream: The runs it waits for, which have not ended; the first 100.
        holder: Who runs it, where it is Running under a session.
        cache_key: The key that another run is computing, where it waits for that; empty otherwise.
        leader: That run; None where it waits for none.
        cache_position: Its place among those who wait for that, from 1; 0 where it does not.
        upstream_count: How many runs it waits for.
    """

    task_run: TaskRun
    cause: WaitCause
    summary: str
    limits: tuple[LimitExplanation, ...]
    waiting_since: datetime | None
    scheduled_time: datetime | None
    upstream: tuple[UpstreamRun, ...]
    holder: SlotHolder | None
    cache_key: str
    leader: SlotHolder | None
    cache_position: int
    upstream_count: int = 0

    @staticmethod
    def from_proto(message: explanation_pb2.ExplainTaskRunResponse) -> TaskRunExplanation:
        """Return the explanation in a message."""
        return TaskRunExplanation(
            task_run=TaskRun.from_proto(message.task_run),
            cause=WaitCause(message.cause),
            summary=message.summary,
            limits=tuple(LimitExplanation.from_proto(limit) for limit in message.limits),
            waiting_since=optional_time(message, "waiting_since"),
            scheduled_time=optional_time(message, "scheduled_time"),
            upstream=tuple(UpstreamRun.from_proto(run) for run in message.upstream),
            holder=SlotHolder.from_proto(message.holder) if message.HasField("holder") else None,
            cache_key=message.cache_key,
            leader=SlotHolder.from_proto(message.leader) if message.HasField("leader") else None,
            cache_position=message.cache_position,
            upstream_count=max(message.upstream_count, len(message.upstream)),
        )


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """A completed state that runs with the same key get instead of running.

    Attributes:
        key: The cache key.
        state: The state that wrote the entry; its value is ``state.result()``.
        created: When the entry was written.
        expires: When it is no longer served; None for never.
        hits: How many runs have had the result instead of running.
        last_hit: When the last one had it; None where none did.
        size: The number of bytes of the result; 0 where it is not known.
        task_key: Identifies the task whose run wrote the entry.
        task_name: That task's name, as far as its run's name tells.
        task_run_id: The run that wrote it.
        task_run_name: That run's name.
        flow_run_id: The flow run that it belongs to.
        tags: That run's tags.
    """

    key: str
    state: State[Any]
    created: datetime
    expires: datetime | None
    hits: int
    last_hit: datetime | None
    size: int
    task_key: str
    task_name: str
    task_run_id: str
    task_run_name: str
    flow_run_id: str
    tags: frozenset[str]

    @staticmethod
    def from_proto(message: cache_pb2.CacheEntry) -> CacheEntry:
        """Return the entry in a message."""
        return CacheEntry(
            key=message.key,
            state=State.from_proto(message.state),
            created=timestamp_from_proto(message.created),
            expires=optional_time(message, "expires"),
            hits=message.hits,
            last_hit=optional_time(message, "last_hit"),
            size=message.size,
            task_key=message.task_key,
            task_name=message.task_name,
            task_run_id=message.task_run_id,
            task_run_name=message.task_run_name,
            flow_run_id=message.flow_run_id,
            tags=frozenset(message.tags),
        )


@dataclass(frozen=True, slots=True)
class CacheStats:
    """What the cache holds of one task, or of all.

    Attributes:
        task_key: Identifies the task; empty for all.
        task_name: Its name, as in ``CacheEntry``.
        entries: How many entries there are, those that have expired among them.
        expired: How many of them have expired, and are not swept yet.
        hits: How many runs had one of these results instead of running.
        size: The number of bytes of the results, as far as it is known.
        oldest: When the oldest entry was written; None where there is none.
        newest: When the newest entry was written; None where there is none.
    """

    task_key: str
    task_name: str
    entries: int
    expired: int
    hits: int
    size: int
    oldest: datetime | None
    newest: datetime | None

    @staticmethod
    def from_proto(message: cache_pb2.CacheStats) -> CacheStats:
        """Return what a message says."""
        return CacheStats(
            task_key=message.task_key,
            task_name=message.task_name,
            entries=message.entries,
            expired=message.expired,
            hits=message.hits,
            size=message.size,
            oldest=optional_time(message, "oldest"),
            newest=optional_time(message, "newest"),
        )


@dataclass(frozen=True, slots=True)
class CacheSummary:
    """What the cache holds, and what is being computed for it.

    Attributes:
        total: Of all tasks.
        tasks: By task, those with the most entries first.
        computing: How many keys are being computed.
        waiting: How many runs wait for one of these.
    """

    total: CacheStats
    tasks: tuple[CacheStats, ...]
    computing: int
    waiting: int


@dataclass(frozen=True, slots=True)
class Log:
    """One line that a run logged.

    Attributes:
        id: Orders lines: later ones have a larger id.
        flow_run_id: The flow run that logged, or whose task did.
        task_run_id: The task run that logged; empty where the flow itself did.
        logger: The logger's name.
        level: 10 debug, 20 info, 30 warning, 40 error, 50 critical.
        message: The line.
        timestamp: When it was logged.
    """

    id: int
    flow_run_id: str
    task_run_id: str
    logger: str
    level: int
    message: str
    timestamp: datetime

    @staticmethod
    def from_proto(message: log_pb2.Log) -> Log:
        """Return the line in a message."""
        return Log(
            id=message.id,
            flow_run_id=message.flow_run_id,
            task_run_id=message.task_run_id,
            logger=message.logger,
            level=message.level,
            message=message.message,
            timestamp=timestamp_from_proto(message.timestamp),
        )
