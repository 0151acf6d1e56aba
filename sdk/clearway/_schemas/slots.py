"""The holders of slots, and what task runs are waiting for; public in ``clearway.schemas``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from clearway._base.named_number import NamedNumber
from clearway._base.timestamps import optional_time, timestamp_from_proto
from clearway._states.messages import state_type
from clearway.states import StateType
from clearway.v1 import concurrency_limit_pb2, explanation_pb2

if TYPE_CHECKING:
    from google.protobuf.message import Message


@dataclass(frozen=True, slots=True)
class SlotHolder:
    """A task run that holds a concurrency slot.

    Attributes:
        task_run_id: The run's UUID.
        task_run_name: The run's display name.
        flow_run_id: The UUID of its flow run.
        flow_run_name: The flow run's display name.
        flow_name: The flow's name.
        since: When the run was granted the slot.
        client_name: The client whose session the run belongs to; empty for a run without a session.
        lease_expires: When the slot is released unless the client sends another heartbeat; None for a run
            without a session, which holds the slot until it ends.
    """

    task_run_id: str
    task_run_name: str
    flow_run_id: str
    flow_run_name: str
    since: datetime
    client_name: str
    lease_expires: datetime | None
    flow_name: str = ""

    @staticmethod
    def from_proto(message: concurrency_limit_pb2.SlotHolder) -> SlotHolder:
        """Return the holder that a protocol message holds."""
        return SlotHolder(
            task_run_id=message.task_run_id,
            task_run_name=message.task_run_name,
            flow_run_id=message.flow_run_id,
            flow_run_name=message.flow_run_name,
            since=timestamp_from_proto(message.acquire_time),
            client_name=message.client_name,
            lease_expires=optional_time(message, "lease_expire_time"),
            flow_name=message.flow_name,
        )


def optional_holder(message: Message, field: str) -> SlotHolder | None:
    """Return the holder in a field of a protocol message, or None if the field is not set."""
    return SlotHolder.from_proto(getattr(message, field)) if message.HasField(field) else None


@dataclass(frozen=True, slots=True)
class SlotWaiter:
    """A task run that is queued for a concurrency slot.

    Attributes:
        task_run_id: The run's UUID.
        task_run_name: The run's display name.
        flow_run_id: The UUID of its flow run.
        flow_run_name: The flow run's display name.
        flow_name: The flow's name.
        since: When the run joined the queue.
        client_name: The client whose session the run belongs to; empty for a run without a session.
        position: The run's place in the queue, from 1.
    """

    task_run_id: str
    task_run_name: str
    flow_run_id: str
    flow_run_name: str
    since: datetime
    client_name: str
    position: int
    flow_name: str = ""

    @staticmethod
    def from_proto(message: concurrency_limit_pb2.SlotWaiter) -> SlotWaiter:
        """Return the queued run that a protocol message holds."""
        return SlotWaiter(
            task_run_id=message.task_run_id,
            task_run_name=message.task_run_name,
            flow_run_id=message.flow_run_id,
            flow_run_name=message.flow_run_name,
            since=timestamp_from_proto(message.enqueue_time),
            client_name=message.client_name,
            position=message.position,
            flow_name=message.flow_name,
        )


class WaitCause(NamedNumber):
    """What a task run is waiting for."""

    UNKNOWN = 0
    """Something that this version of the package does not know."""
    NOTHING = 1
    """Nothing: the run is Running or has ended."""
    LIMIT = 2
    """Slots of tags whose concurrency limits are reached."""
    SCHEDULE = 3
    """Its scheduled time."""
    UPSTREAM = 4
    """Upstream runs, which it depends on."""
    CLIENT = 5
    """Its client, which has not proposed to start it."""
    CACHE = 6
    """Another run that is computing the same cache key."""

    @classmethod
    def of(cls, message: explanation_pb2.ExplainTaskRunResponse) -> WaitCause:
        """Return the cause that a protocol message holds."""
        return _CAUSES.get(message.WhichOneof("cause") or "", cls.UNKNOWN)


_CAUSES = {
    "ended": WaitCause.NOTHING,
    "running": WaitCause.NOTHING,
    "limit": WaitCause.LIMIT,
    "cache_leader": WaitCause.CACHE,
    "schedule": WaitCause.SCHEDULE,
    "upstream": WaitCause.UPSTREAM,
    "client": WaitCause.CLIENT,
}


@dataclass(frozen=True, slots=True)
class LimitExplanation:
    """A concurrency limit from the point of view of one task run.

    Attributes:
        tag: The tag that the limit applies to.
        concurrency_limit: How many runs may be Running at once.
        taken: How many runs hold a slot.
        blocks: True if the run is waiting for a slot of this tag.
        position: The run's place in this tag's queue, from 1; None if it is not in this queue.
        holders: The runs that hold a slot, earliest first; at most the first 100.
        ancestor: The holder whose own code waits for this run, directly or through other runs; None if there
            is none.
    """

    tag: str
    concurrency_limit: int
    taken: int
    blocks: bool
    position: int | None
    holders: tuple[SlotHolder, ...]
    ancestor: SlotHolder | None

    @staticmethod
    def from_proto(message: explanation_pb2.LimitExplanation) -> LimitExplanation:
        """Return the explanation that a protocol message holds."""
        return LimitExplanation(
            tag=message.tag,
            concurrency_limit=message.limit,
            taken=message.taken_count,
            blocks=message.blocks,
            position=message.position or None,
            holders=tuple(SlotHolder.from_proto(holder) for holder in message.holders),
            ancestor=optional_holder(message, "ancestor"),
        )


@dataclass(frozen=True, slots=True)
class UpstreamRun:
    """A task run that another run depends on and that has not ended.

    Attributes:
        task_run_id: The run's UUID.
        task_run_name: The run's display name.
        parameter: The dependent run's parameter that gets the result; ``wait_for`` if the result is not used.
        state_type: The type of the run's current state.
        state_name: The name of the run's current state.
    """

    task_run_id: str
    task_run_name: str
    parameter: str
    state_type: StateType
    state_name: str

    @staticmethod
    def from_proto(message: explanation_pb2.UpstreamRun) -> UpstreamRun:
        """Return the run that a protocol message holds."""
        return UpstreamRun(
            task_run_id=message.task_run_id,
            task_run_name=message.task_run_name,
            parameter=message.parameter,
            state_type=state_type(message.state_type),
            state_name=message.state_name,
        )
