"""The JSON documents for limits and explanations that ``-o json`` prints, with keys that scripts may rely on.

The rules of ``_documents`` apply. Durations, such as what is left of a lease, are computed with the service's
clock, which may differ from this machine's.
"""

from collections.abc import Sequence
from typing import TypedDict

from google.protobuf.timestamp_pb2 import Timestamp

from clearway.schemas import WaitCause
from clearway.v1 import concurrency_limit_pb2, explanation_pb2
from clearway.v1.state_pb2 import State
from clearway_cli import _documents, _explanation_view, _states, _times
from clearway_cli._documents import TaskRunDocument


class HolderDocument(TypedDict):
    """A task run that holds a slot; without a session it has no client and no lease."""

    task_run_id: str
    task_run_name: str
    flow_run_id: str
    flow_run_name: str
    flow_name: str
    since: str | None
    held_seconds: float
    client_name: str | None
    lease_expires: str | None
    lease_left_seconds: float | None


class WaiterDocument(TypedDict):
    """A task run that waits for a slot, at a position from 1."""

    position: int
    task_run_id: str
    task_run_name: str
    flow_run_id: str
    flow_run_name: str
    flow_name: str
    since: str | None
    waited_seconds: float
    client_name: str | None
    proposal_id: str


class LimitDocument(TypedDict):
    """The limit of a tag; ``taken`` slots are held, and ``active_slots`` are the ids of their holders.

    In a list of limits, ``active_slots`` has the first 100 at most.
    """

    id: str
    tag: str
    limit: int
    active_slots: list[str]
    waiting: int
    created: str | None
    updated: str | None
    taken: int


class LimitDetailsDocument(LimitDocument):
    """A limit with the holders of its slots, the longest-holding first, and the first 100 in its queue."""

    holders: list[HolderDocument]
    waiters: list[WaiterDocument]


class CreatedLimitDocument(LimitDocument):
    """A limit that was set, and its former value; null if the tag had none."""

    previous_limit: int | None


class DeletedLimitDocument(TypedDict):
    """The tag whose limit was deleted."""

    tag: str
    deleted: bool


class ResetLimitDocument(TypedDict):
    """The tag whose slots were taken back, and their holders: the first ones if there are very many."""

    tag: str
    freed: list[HolderDocument]
    freed_count: int


class LimitExplanationDocument(TypedDict):
    """A limit as it affects a task run; ``position`` is null if the run is not in this tag's queue.

    ``ancestor`` is the holder whose own code waits for the run, so that neither can continue.
    """

    tag: str
    limit: int
    taken: int
    blocks: bool
    position: int | None
    holders: list[HolderDocument]
    ancestor: HolderDocument | None


class UpstreamDocument(TypedDict):
    """A task run that another one waits for."""

    parameter: str
    task_run_id: str
    task_run_name: str
    state_type: str
    state_name: str


class ExplanationDocument(TypedDict):
    """Why a task run is in its state.

    ``cause`` is NOTHING, LIMIT, SCHEDULE, UPSTREAM, CLIENT, CACHE or, if the service has one that this
    version does not know, UNKNOWN. ``upstream`` has the first 100 of the ``upstream_count`` runs it waits
    for, and a limit's ``holders`` the first 100 of those ``taken``. ``awaited_task_run_id`` is the run that
    the code of a running one waits for.
    """

    task_run: TaskRunDocument
    cause: str
    summary: str
    limits: list[LimitExplanationDocument]
    waiting_since: str | None
    waited_seconds: float | None
    scheduled_time: str | None
    upstream: list[UpstreamDocument]
    holder: HolderDocument | None
    cache_key: str | None
    leader: HolderDocument | None
    cache_position: int | None
    upstream_count: int
    awaited_task_run_id: str | None


def limit(message: concurrency_limit_pb2.ConcurrencyLimit) -> LimitDocument:
    """Return the document of a concurrency limit."""
    return {
        "id": message.id,
        "tag": message.tag,
        "limit": message.limit,
        "active_slots": [holder.task_run_id for holder in message.holders],
        "waiting": message.waiting_count,
        "created": _times.iso_or_none(message, "create_time"),
        "updated": _times.iso_or_none(message, "update_time"),
        "taken": message.taken_count,
    }


def limit_details(message: concurrency_limit_pb2.ConcurrencyLimit, now: Timestamp) -> LimitDetailsDocument:
    """Return the document of a concurrency limit with its holders and waiters."""
    return {
        **limit(message),
        "holders": [_holder(each, now) for each in message.holders],
        "waiters": [_waiter(each, now) for each in message.waiters],
    }


def created_limit(
    message: concurrency_limit_pb2.ConcurrencyLimit, previous: int | None
) -> CreatedLimitDocument:
    """Return the document of a limit that was set."""
    return {**limit(message), "previous_limit": previous}


def deleted_limit(tag: str) -> DeletedLimitDocument:
    """Return the document of a limit that was deleted."""
    return {"tag": tag, "deleted": True}


def reset_limit(
    tag: str, freed: Sequence[concurrency_limit_pb2.SlotHolder], now: Timestamp, count: int = 0
) -> ResetLimitDocument:
    """Return the document of a reset limit: ``count`` slots were taken back, or those in ``freed``."""
    found = [_holder(each, now) for each in freed]
    return {"tag": tag, "freed": found, "freed_count": max(count, len(found))}


def explanation(message: explanation_pb2.ExplainTaskRunResponse, now: Timestamp) -> ExplanationDocument:
    """Return the document of an explanation of a task run."""
    since = _explanation_view.waiting_since(message)
    begins = _explanation_view.scheduled_time(message)
    cache = message.cache_leader
    return {
        "task_run": _documents.task_run(message.task_run),
        "cause": WaitCause.of(message).name,
        "summary": message.summary,
        "limits": [_limit_explanation(each, now) for each in message.limits],
        "waiting_since": None if since is None else _times.iso(since),
        "waited_seconds": None if since is None else _times.seconds_between(since, now),
        "scheduled_time": None if begins is None else _times.iso(begins),
        "upstream": [_upstream(each) for each in message.upstream.runs],
        "holder": _holder(message.running.holder, now) if message.running.HasField("holder") else None,
        "cache_key": cache.cache_key or None,
        "leader": _holder(cache.leader, now) if cache.HasField("leader") else None,
        "cache_position": cache.position or None,
        "upstream_count": message.upstream.run_count,
        "awaited_task_run_id": message.running.awaited_task_run_id or None,
    }


def _holder(message: concurrency_limit_pb2.SlotHolder, now: Timestamp) -> HolderDocument:
    leased = message.HasField("lease_expire_time")
    return {
        "task_run_id": message.task_run_id,
        "task_run_name": message.task_run_name,
        "flow_run_id": message.flow_run_id,
        "flow_run_name": message.flow_run_name,
        "flow_name": message.flow_name,
        "since": _times.iso_or_none(message, "acquire_time"),
        "held_seconds": _times.seconds_between(message.acquire_time, now),
        "client_name": message.client_name or None,
        "lease_expires": _times.iso_or_none(message, "lease_expire_time"),
        "lease_left_seconds": _times.seconds_between(now, message.lease_expire_time) if leased else None,
    }


def _waiter(message: concurrency_limit_pb2.SlotWaiter, now: Timestamp) -> WaiterDocument:
    return {
        "position": message.position,
        "task_run_id": message.task_run_id,
        "task_run_name": message.task_run_name,
        "flow_run_id": message.flow_run_id,
        "flow_run_name": message.flow_run_name,
        "flow_name": message.flow_name,
        "since": _times.iso_or_none(message, "enqueue_time"),
        "waited_seconds": _times.seconds_between(message.enqueue_time, now),
        "client_name": message.client_name or None,
        "proposal_id": message.proposal_id,
    }


def _limit_explanation(message: explanation_pb2.LimitExplanation, now: Timestamp) -> LimitExplanationDocument:
    return {
        "tag": message.tag,
        "limit": message.limit,
        "taken": message.taken_count,
        "blocks": message.blocks,
        "position": message.position or None,
        "holders": [_holder(each, now) for each in message.holders],
        "ancestor": _holder(message.ancestor, now) if message.HasField("ancestor") else None,
    }


def _upstream(message: explanation_pb2.UpstreamRun) -> UpstreamDocument:
    return {
        "parameter": message.parameter,
        "task_run_id": message.task_run_id,
        "task_run_name": message.task_run_name,
        "state_type": _states.type_name(State(type=message.state_type)),
        "state_name": message.state_name,
    }
