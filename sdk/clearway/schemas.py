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
from clearway._schemas.slots import (
    LimitExplanation,
    SlotHolder,
    SlotWaiter,
    UpstreamRun,
    WaitCause,
    optional_holder,
)
from clearway.run_errors import RunError
from clearway.states import State
from clearway.v1 import (
    cache_pb2,
    concurrency_limit_pb2,
    explanation_pb2,
    flow_run_pb2,
    log_pb2,
    retry_pb2,
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
        retry_delays: How long it waits before its first retry, its second and so on; the last one applies to
            all further retries.
        retry_jitter_factor: How far these are spread at random; 0 for not at all.
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
    retry_delays: tuple[timedelta, ...]
    retry_jitter_factor: float
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
        spec = message.spec
        return FlowRun(
            id=spec.id,
            name=spec.name,
            flow_name=spec.flow_name,
            flow_version=spec.flow_version,
            parameters_json=spec.parameters_json,
            tags=tuple(spec.tags),
            retries=_retries(spec.retry_policy),
            retry_delays=tuple(map(duration_from_proto, spec.retry_policy.delays)),
            retry_jitter_factor=spec.retry_policy.jitter_factor,
            parent_task_run_id=spec.parent_task_run_id,
            state=State.from_proto(message.state),
            run_count=message.run_count,
            created=timestamp_from_proto(message.create_time),
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
        dynamic_key: Distinguishes the runs of one task in one flow run.
        task_name: The task's name.
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
    task_name: str
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
        spec = message.spec
        return TaskRun(
            id=spec.id,
            flow_run_id=spec.flow_run_id,
            task_key=spec.task_key,
            dynamic_key=spec.dynamic_key,
            task_name=spec.task_name,
            name=spec.name,
            task_version=spec.task_version,
            tags=tuple(spec.tags),
            retries=_retries(spec.retry_policy),
            retry_delays=tuple(map(duration_from_proto, spec.retry_policy.delays)),
            retry_jitter_factor=spec.retry_policy.jitter_factor,
            task_inputs={item.parameter: tuple(item.task_run_ids) for item in spec.inputs},
            tracks_subflow=spec.tracks_subflow,
            state=State.from_proto(message.state),
            run_count=message.run_count,
            created=timestamp_from_proto(message.create_time),
            expected_start_time=optional_time(message, "expected_start_time"),
            start_time=optional_time(message, "start_time"),
            end_time=optional_time(message, "end_time"),
            total_run_time=duration_from_proto(message.total_run_time),
        )


def _retries(policy: retry_pb2.RetryPolicy) -> int:
    """Return how many times a failed run is tried again; ``max_attempts`` counts the first attempt too."""
    return max(0, policy.max_attempts - 1)


@dataclass(frozen=True, slots=True)
class ConcurrencyLimit:
    """How many task runs with a tag may be Running at once.

    Attributes:
        id: The limit's UUID.
        tag: The tag that it is on.
        concurrency_limit: How many; 0 aborts every run that would start.
        active_slots: The UUIDs of the task runs in ``holders``, in the same order.
        waiting: How many runs wait for a slot.
        created: When the limit was first set.
        updated: When it was last changed.
        holders: The runs that hold a slot, in the order in which they took it. In a list of limits the first
            100 at most; the client's calls for one limit return all.
        waiters: The first 100 runs in the queue, next one first; ``read_slot_waiters`` returns all. Empty in
            a list of limits.
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
        holders = tuple(map(SlotHolder.from_proto, message.holders))
        return ConcurrencyLimit(
            id=message.id,
            tag=message.tag,
            concurrency_limit=message.limit,
            active_slots=tuple(holder.task_run_id for holder in holders),
            waiting=message.waiting_count,
            created=timestamp_from_proto(message.create_time),
            updated=timestamp_from_proto(message.update_time),
            holders=holders,
            waiters=tuple(map(SlotWaiter.from_proto, message.waiters)),
            taken=message.taken_count,
        )


@dataclass(frozen=True, slots=True)
class TaskRunExplanation:
    """Why a task run is where it is.

    Attributes:
        task_run: The run.
        cause: What it waits for.
        summary: The same in one sentence, for people.
        limits: The limits on its tags, with their holders, those that block it first.
        waiting_since: When it joined a queue; None if it is in none.
        scheduled_time: When it may begin; None if it was not scheduled.
        upstream: The runs it waits for, which have not ended; the first 100.
        holder: Who runs it, if it is Running under a session; otherwise None.
        cache_key: The key that another run is computing, if it waits for that; otherwise empty.
        leader: That run; None if it waits for none.
        cache_position: Its place among those that wait for that, from 1; 0 if it does not.
        upstream_count: How many runs it waits for.
        awaited_task_run_id: The run whose result its own code waits for, while it is Running; empty for none.
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
    awaited_task_run_id: str = ""

    @staticmethod
    def from_proto(message: explanation_pb2.ExplainTaskRunResponse) -> TaskRunExplanation:
        """Return the explanation in a message."""
        run = TaskRun.from_proto(message.task_run)
        queued = message.cache_leader if message.HasField("cache_leader") else message.limit
        return TaskRunExplanation(
            task_run=run,
            cause=WaitCause.of(message),
            summary=message.summary,
            limits=tuple(map(LimitExplanation.from_proto, message.limits)),
            waiting_since=optional_time(queued, "enqueue_time"),
            scheduled_time=optional_time(message.schedule, "scheduled_time")
            or run.state.details.scheduled_time,
            upstream=tuple(map(UpstreamRun.from_proto, message.upstream.runs)),
            holder=optional_holder(message.running, "holder"),
            cache_key=message.cache_leader.cache_key,
            leader=optional_holder(message.cache_leader, "leader"),
            cache_position=message.cache_leader.position,
            upstream_count=message.upstream.run_count,
            awaited_task_run_id=message.running.awaited_task_run_id,
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
        task_name: That task's name.
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
            created=timestamp_from_proto(message.create_time),
            expires=optional_time(message, "expire_time"),
            hits=message.hit_count,
            last_hit=optional_time(message, "last_hit_time"),
            size=message.size_bytes,
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
    def from_proto(message: cache_pb2.CacheStats, task_key: str = "", task_name: str = "") -> CacheStats:
        """Return the sums in a message, of all tasks or of the one that is named."""
        return CacheStats(
            task_key=task_key,
            task_name=task_name,
            entries=message.entry_count,
            expired=message.expired_count,
            hits=message.hit_count,
            size=message.size_bytes,
            oldest=optional_time(message, "oldest_create_time"),
            newest=optional_time(message, "newest_create_time"),
        )

    @staticmethod
    def of_task(message: cache_pb2.TaskCacheStats) -> CacheStats:
        """Return the sums of one task in a message."""
        return CacheStats.from_proto(message.stats, message.task_key, message.task_name)


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
            timestamp=timestamp_from_proto(message.create_time),
        )
