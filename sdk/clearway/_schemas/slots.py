"""The holders of slots, and what task runs wait for; offered in ``clearway.schemas``."""

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
    """A task run that holds a slot.

    Attributes:
        task_run_id: The run's UUID.
        task_run_name: The run's own name.
        flow_run_id: The flow run it belongs to.
        flow_run_name: That run's own name.
        flow_name: The name of the flow.
        since: When it took the slot.
        client_name: Whose session runs it; empty for a run without a session.
        lease_expires: When the slot comes back if nothing more is heard of that client; None for a run
            without a session, which holds it until it ends.
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
        """Return the holder in a message."""
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
    """Return the holder in a field of a message, or None if it is not set."""
    return SlotHolder.from_proto(getattr(message, field)) if message.HasField(field) else None


@dataclass(frozen=True, slots=True)
class SlotWaiter:
    """A task run that waits for a slot.

    Attributes:
        task_run_id: The run's UUID.
        task_run_name: The run's own name.
        flow_run_id: The flow run it belongs to.
        flow_run_name: That run's own name.
        flow_name: The name of the flow.
        since: When it joined the queue.
        client_name: Whose session asked; empty for a run without a session.
        position: Its place in the queue, from 1.
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
        """Return the waiter in a message."""
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
    """What a task run waits for."""

    UNKNOWN = 0
    """For what this version of the package does not know."""
    NOTHING = 1
    """It runs, or has ended."""
    LIMIT = 2
    """For slots of tags whose limits are full."""
    SCHEDULE = 3
    """For its time."""
    UPSTREAM = 4
    """For runs whose results it takes."""
    CLIENT = 5
    """For its client, which has not proposed to run it."""
    CACHE = 6
    """For another run, which is computing the same cache key."""

    @classmethod
    def of(cls, message: explanation_pb2.ExplainTaskRunResponse) -> WaitCause:
        """Return the cause in a message."""
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
    """How a limit looks to one task run.

    Attributes:
        tag: The tag that it is on.
        concurrency_limit: How many runs may be Running at once.
        taken: How many hold a slot.
        blocks: Whether the run waits for a slot of this tag.
        position: The run's place in this tag's queue, from 1; None where it stands in another, or in none.
        holders: Who holds the slots, in the order in which they took them; the first 100 at most.
        ancestor: The holder whose own code waits for the run, itself or through others; None where there is
            none.
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
        """Return what a message says of a limit."""
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
    """A task run whose result another one takes, and which has not ended.

    Attributes:
        task_run_id: The run's UUID.
        task_run_name: The run's own name.
        parameter: The parameter that takes the result; ``wait_for`` where the run is only waited for.
        state_type: The type of the state that it is in.
        state_name: That state's name.
    """

    task_run_id: str
    task_run_name: str
    parameter: str
    state_type: StateType
    state_name: str

    @staticmethod
    def from_proto(message: explanation_pb2.UpstreamRun) -> UpstreamRun:
        """Return the run in a message."""
        return UpstreamRun(
            task_run_id=message.task_run_id,
            task_run_name=message.task_run_name,
            parameter=message.parameter,
            state_type=state_type(message.state_type),
            state_name=message.state_name,
        )
