"""The keys that scripts rely on: this test is their list, and none is removed or renamed."""

import json

from google.protobuf.timestamp_pb2 import Timestamp

from clearway.v1.concurrency_limit_pb2 import ConcurrencyLimit, SlotHolder, SlotWaiter
from clearway.v1.explanation_pb2 import (
    WAIT_CAUSE_LIMIT,
    ExplainTaskRunResponse,
    LimitExplanation,
    UpstreamRun,
    WaitCause,
)
from clearway.v1.state_pb2 import STATE_TYPE_SCHEDULED
from clearway.v1.task_run_pb2 import TaskRun
from clearway_cli import _documents, _limit_documents

NOON = Timestamp(seconds=1_767_268_800)
LATER = Timestamp(seconds=NOON.seconds + 4, nanos=500_000_000)
LEASE = Timestamp(seconds=NOON.seconds + 30)
NOON_TEXT = "2026-01-01T12:00:00.000000Z"
RUN = {
    "task_run_id": "t",
    "task_run_name": "load-0",
    "flow_run_id": "f",
    "flow_run_name": "brisk-otter",
    "flow_name": "nightly",
}
HOLDER = SlotHolder(**RUN, since=NOON, client_name="host:12", lease_expires=LEASE)
HOLDER_DOCUMENT = {
    **RUN,
    "since": NOON_TEXT,
    "held_seconds": 4.5,
    "client_name": "host:12",
    "lease_expires": "2026-01-01T12:00:30.000000Z",
    "lease_left_seconds": 25.5,
}
WAITER_DOCUMENT = {
    **RUN,
    "position": 1,
    "since": NOON_TEXT,
    "waited_seconds": 4.5,
    "client_name": None,
    "proposal_id": "p",
}
LIMIT = ConcurrencyLimit(
    id="l",
    tag="disk",
    limit=4,
    active_slots=["t"],
    waiting=2,
    created=NOON,
    updated=NOON,
    holders=[HOLDER],
    waiters=[SlotWaiter(**RUN, since=NOON, position=1, proposal_id="p")],
)
LIMIT_DOCUMENT = {
    "id": "l",
    "tag": "disk",
    "limit": 4,
    "active_slots": ["t"],
    "waiting": 2,
    "created": NOON_TEXT,
    "updated": NOON_TEXT,
    "taken": 1,
}


def test_a_limit() -> None:
    assert _limit_documents.limit(LIMIT) == LIMIT_DOCUMENT
    assert _limit_documents.created_limit(LIMIT, None) == {**LIMIT_DOCUMENT, "previous_limit": None}
    assert _limit_documents.deleted_limit("disk") == {"tag": "disk", "deleted": True}


def test_a_limit_with_who_holds_it_and_who_waits() -> None:
    document = _limit_documents.limit_details(LIMIT, LATER)
    assert document == {**LIMIT_DOCUMENT, "holders": [HOLDER_DOCUMENT], "waiters": [WAITER_DOCUMENT]}
    assert json.loads(json.dumps(document)) == document


def test_slots_that_were_taken_back() -> None:
    without_session = SlotHolder()
    without_session.CopyFrom(HOLDER)
    without_session.ClearField("client_name")
    without_session.ClearField("lease_expires")
    assert _limit_documents.reset_limit("disk", [HOLDER, without_session], LATER) == {
        "tag": "disk",
        "freed": [
            HOLDER_DOCUMENT,
            {**HOLDER_DOCUMENT, "client_name": None, "lease_expires": None, "lease_left_seconds": None},
        ],
        "freed_count": 2,
    }


def test_why_a_run_waits() -> None:
    answer = ExplainTaskRunResponse(
        task_run=TaskRun(id="w"),
        cause=WAIT_CAUSE_LIMIT,
        summary="tag 'disk': ...",
        limits=[
            LimitExplanation(
                tag="disk", limit=1, taken=1, blocks=True, position=3, holders=[HOLDER], ancestor=HOLDER
            )
        ],
        waiting_since=NOON,
        scheduled_time=NOON,
        upstream=[
            UpstreamRun(
                task_run_id="u",
                task_run_name="load-1",
                parameter="x",
                state_type=STATE_TYPE_SCHEDULED,
                state_name="AwaitingRetry",
            )
        ],
        holder=HOLDER,
    )
    limit = {
        "tag": "disk",
        "limit": 1,
        "taken": 1,
        "blocks": True,
        "position": 3,
        "holders": [HOLDER_DOCUMENT],
        "ancestor": HOLDER_DOCUMENT,
    }
    upstream = {
        "parameter": "x",
        "task_run_id": "u",
        "task_run_name": "load-1",
        "state_type": "SCHEDULED",
        "state_name": "AwaitingRetry",
    }
    assert _limit_documents.explanation(answer, LATER) == {
        "task_run": _documents.task_run(answer.task_run),
        "cause": "LIMIT",
        "summary": "tag 'disk': ...",
        "limits": [limit],
        "waiting_since": NOON_TEXT,
        "waited_seconds": 4.5,
        "scheduled_time": NOON_TEXT,
        "upstream": [upstream],
        "holder": HOLDER_DOCUMENT,
        "cache_key": None,
        "leader": None,
        "cache_position": None,
        "upstream_count": 1,
    }


def test_what_is_not_set_is_null() -> None:
    answer = ExplainTaskRunResponse(limits=[LimitExplanation(tag="disk")])
    document = _limit_documents.explanation(answer, LATER)
    assert (document["limits"][0]["position"], document["limits"][0]["ancestor"]) == (None, None)
    assert (document["waiting_since"], document["waited_seconds"]) == (None, None)
    assert (document["scheduled_time"], document["holder"]) == (None, None)


def test_a_cause_of_a_newer_service_is_unknown() -> None:
    newer = ExplainTaskRunResponse(cause=WaitCause.ValueType(99))
    assert _limit_documents.explanation(newer, LATER)["cause"] == "UNKNOWN"
