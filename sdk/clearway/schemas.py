"""What the client's methods return: runs, concurrency limits, cache entries and log lines."""

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
        name: The run's display name.
        flow_name: The flow's name.
        flow_version: The flow's version; empty if it has none.
        parameters_json: The flow's arguments, as a JSON object.
        tags: The run's tags, sorted.
        retries: How often a failed run is retried.
        retry_delays: The delays before the first retry, the second and so on; the last one applies to all
            further retries.
        retry_jitter_factor: Each delay is lengthened by a random fraction of up to this factor; 0 means no
            jitter.
        parent_task_run_id: For a subflow, the UUID of the task run that tracks it in its parent; empty
            otherwise.
        state: The run's current state.
        run_count: How often the run has entered Running.
        created: When the service recorded the run.
        expected_start_time: When the run is due to start; None if it was not scheduled.
        start_time: When the run first entered Running; None before that.
        end_time: When the run ended; None before that.
        total_run_time: The time spent in Running, excluding the current attempt.
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
        """Return the run that a protocol message holds."""
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
        flow_run_id: The UUID of its flow run.
        task_key: Identifies the task; the same for all its runs.
        dynamic_key: Distinguishes the runs of one task within a flow run.
        task_name: The task's name.
        name: The run's display name.
        task_version: The task's version; empty if it has none.
        tags: The run's tags, sorted.
        retries: How often a failed run is retried.
        retry_delays: The delays before the first retry, the second and so on; the last one applies to all
            further retries.
        retry_jitter_factor: Each delay is lengthened by a random fraction of up to this factor; 0 means no
            jitter.
        task_inputs: The UUIDs of the upstream runs by parameter name; at most the first 10,000.
        tracks_subflow: True if it represents a subflow in its parent flow run.
        state: The run's current state.
        run_count: How often the run has entered Running.
        created: When the service recorded the run.
        expected_start_time: When the run is due to start; None if it was not scheduled.
        start_time: When the run first entered Running; None before that.
        end_time: When the run ended; None before that.
        total_run_time: The time spent in Running, excluding the current attempt.
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
        """Return the run that a protocol message holds."""
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
    """Return how often a failed run is retried; ``max_attempts`` includes the first attempt."""
    return max(0, policy.max_attempts - 1)


@dataclass(frozen=True, slots=True)
class ConcurrencyLimit:
    """A concurrency limit: how many task runs with a tag may be Running at once.

    Attributes:
        id: The limit's UUID.
        tag: The tag that the limit applies to.
        concurrency_limit: The number of slots; with 0, every run that tries to start is aborted.
        active_slots: The UUIDs of the task runs in ``holders``, in the same order.
        waiting: How many runs are queued for a slot.
        created: When the limit was first set.
        updated: When it was last changed.
        holders: The runs that hold a slot, earliest first: all of them if a single limit was requested, at
            most the first 100 in a list of limits.
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
        """Return the limit that a protocol message holds."""
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
    """Why a task run is in its current state, and what it is waiting for.

    Attributes:
        task_run: The run.
        cause: What the run is waiting for.
        summary: The explanation as one sentence.
        limits: The limits on the run's tags with their holders; limits that block the run come first.
        waiting_since: When the run joined a queue; None if it is not queued.
        scheduled_time: When the run may start; None if it was not scheduled.
        upstream: The runs that it depends on and that have not ended; at most the first 100.
        holder: The process that runs it, if it is Running under a session; otherwise None.
        cache_key: The cache key that the run is waiting for another run to compute; empty if it is not.
        leader: The run that is computing ``cache_key``; None if the run is not waiting for one.
        cache_position: The run's place in the queue for ``cache_key``, from 1; 0 if it is not queued.
        upstream_count: How many runs it depends on that have not ended.
        awaited_task_run_id: The UUID of the run whose result its code is waiting for, while it is Running;
            empty if it is not waiting for one.
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
        """Return the explanation that a protocol message holds."""
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
    """A cache entry: a completed state that later runs with the same cache key get instead of running.

    Attributes:
        key: The cache key.
        state: The cached state; ``state.result()`` is its value.
        created: When the entry was written.
        expires: When the entry expires; None if it does not.
        hits: How many runs got this result instead of running.
        last_hit: When the latest of them did; None if there has been none.
        size: The result's size in bytes; 0 if unknown.
        task_key: Identifies the task whose run wrote the entry.
        task_name: That task's name.
        task_run_id: The UUID of the run that wrote the entry.
        task_run_name: That run's name.
        flow_run_id: The UUID of that run's flow run.
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
        """Return the entry that a protocol message holds."""
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
    """Statistics of the cache entries of one task, or of all tasks.

    Attributes:
        task_key: Identifies the task; empty for all tasks.
        task_name: The task's name; empty for all tasks.
        entries: The number of entries, including expired ones.
        expired: How many of them have expired and are not deleted yet.
        hits: How many runs got one of these results instead of running.
        size: The total size of the results in bytes, without those of unknown size.
        oldest: When the oldest entry was written; None if there are no entries.
        newest: When the newest entry was written; None if there are no entries.
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
        """Return the statistics that a protocol message holds, of all tasks or of the given one."""
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
        """Return the statistics of one task that a protocol message holds."""
        return CacheStats.from_proto(message.stats, message.task_key, message.task_name)


@dataclass(frozen=True, slots=True)
class CacheSummary:
    """Statistics of the whole cache, and of the results being computed for it.

    Attributes:
        total: The statistics of all tasks together.
        tasks: The statistics of each task, those with the most entries first.
        computing: How many cache keys are being computed.
        waiting: How many runs are waiting for one of these keys.
    """

    total: CacheStats
    tasks: tuple[CacheStats, ...]
    computing: int
    waiting: int


@dataclass(frozen=True, slots=True)
class Log:
    """A log line of a run.

    Attributes:
        id: A number that orders lines: later lines have a larger id.
        flow_run_id: The UUID of the flow run that the line belongs to.
        task_run_id: The UUID of the task run that logged it; empty if the flow itself did.
        logger: The logger's name.
        level: 10 debug, 20 info, 30 warning, 40 error, 50 critical.
        message: The text of the line.
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
        """Return the log line that a protocol message holds."""
        return Log(
            id=message.id,
            flow_run_id=message.flow_run_id,
            task_run_id=message.task_run_id,
            logger=message.logger,
            level=message.level,
            message=message.message,
            timestamp=timestamp_from_proto(message.create_time),
        )
