"""The keys that scripts rely on: this test is their list, and none is removed or renamed."""

import json

from google.protobuf.timestamp_pb2 import Timestamp

from clearway.v1.concurrency_limit_pb2 import ConcurrencyLimit, SlotHolder, SlotWaiter
from clearway.v1.explanation_pb2 import (
    ExplainTaskRunResponse,
    LimitExplanation,
    RunRunning,
    UpstreamRun,
    WaitsForCacheLeader,
    WaitsForLimit,
    WaitsForSchedule,
    WaitsForUpstream,
)
from clearway.v1.state_pb2 import STATE_TYPE_SCHEDULED
from clearway.v1.task_run_pb2 import TaskRun, TaskRunSpec
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
HOLDER = SlotHolder(**RUN, acquire_time=NOON, client_name="host:12", lease_expire_time=LEASE)
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
    taken_count=1,
    waiting_count=2,
    create_time=NOON,
    update_time=NOON,
    holders=[HOLDER],
    waiters=[SlotWaiter(**RUN, enqueue_time=NOON, position=1, proposal_id="p")],
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
    without_session.ClearField("lease_expire_time")
    assert _limit_documents.reset_limit("disk", [HOLDER, without_session], LATER) == {
        "tag": "disk",
        "freed": [
            HOLDER_DOCUMENT,
            {**HOLDER_DOCUMENT, "client_name": None, "lease_expires": None, "lease_left_seconds": None},
        ],
        "freed_count": 2,
    }


NOTHING = {
    "waiting_since": None,
    "waited_seconds": None,
    "scheduled_time": None,
    "upstream": [],
    "holder": None,
    "cache_key": None,
    "leader": None,
    "cache_position": None,
    "upstream_count": 0,
    "awaited_task_run_id": None,
}


def test_why_a_run_waits() -> None:
    answer = ExplainTaskRunResponse(
        task_run=TaskRun(spec=TaskRunSpec(id="w")),
        summary="tag 'disk': ...",
        limit=WaitsForLimit(tag="disk", position=3, enqueue_time=NOON),
        limits=[
            LimitExplanation(
                tag="disk", limit=1, taken_count=1, blocks=True, position=3, holders=[HOLDER], ancestor=HOLDER
            )
        ],
    )
    answer.task_run.state.details.scheduled_time.CopyFrom(NOON)
    limit = {
        "tag": "disk",
        "limit": 1,
        "taken": 1,
        "blocks": True,
        "position": 3,
        "holders": [HOLDER_DOCUMENT],
        "ancestor": HOLDER_DOCUMENT,
    }
    assert _limit_documents.explanation(answer, LATER) == {
        **NOTHING,
        "task_run": _documents.task_run(answer.task_run),
        "cause": "LIMIT",
        "summary": "tag 'disk': ...",
        "limits": [limit],
        "waiting_since": NOON_TEXT,
        "waited_seconds": 4.5,
        "scheduled_time": NOON_TEXT,
    }


def test_why_a_run_waits_for_others() -> None:
    upstream = UpstreamRun(
        task_run_id="u",
        task_run_name="load-1",
        parameter="x",
        state_type=STATE_TYPE_SCHEDULED,
        state_name="AwaitingRetry",
    )
    answer = ExplainTaskRunResponse(upstream=WaitsForUpstream(runs=[upstream], run_count=1))
    document = {
        "parameter": "x",
        "task_run_id": "u",
        "task_run_name": "load-1",
        "state_type": "SCHEDULED",
        "state_name": "AwaitingRetry",
    }
    assert facts(answer) == {**NOTHING, "cause": "UPSTREAM", "upstream": [document], "upstream_count": 1}


def test_who_runs_it_and_what_its_code_waits_for() -> None:
    answer = ExplainTaskRunResponse(running=RunRunning(holder=HOLDER, awaited_task_run_id="u"))
    running = {"cause": "NOTHING", "holder": HOLDER_DOCUMENT, "awaited_task_run_id": "u"}
    assert facts(answer) == {**NOTHING, **running}


def test_who_computes_its_cache_key() -> None:
    cause = WaitsForCacheLeader(cache_key="k", leader=HOLDER, position=2, enqueue_time=NOON)
    assert facts(ExplainTaskRunResponse(cache_leader=cause)) == {
        **NOTHING,
        "cause": "CACHE",
        "waiting_since": NOON_TEXT,
        "waited_seconds": 4.5,
        "cache_key": "k",
        "leader": HOLDER_DOCUMENT,
        "cache_position": 2,
    }


def test_when_it_may_begin() -> None:
    answer = ExplainTaskRunResponse(schedule=WaitsForSchedule(scheduled_time=NOON))
    assert facts(answer) == {**NOTHING, "cause": "SCHEDULE", "scheduled_time": NOON_TEXT}


def facts(answer: ExplainTaskRunResponse) -> dict[str, object]:
    """Return the document of an explanation without what every one has."""
    document: dict[str, object] = {**_limit_documents.explanation(answer, LATER)}
    for key in ("task_run", "summary", "limits"):
        del document[key]
    return document


def test_what_is_not_set_is_null() -> None:
    answer = ExplainTaskRunResponse(limits=[LimitExplanation(tag="disk")])
    document = _limit_documents.explanation(answer, LATER)
    assert (document["limits"][0]["position"], document["limits"][0]["ancestor"]) == (None, None)
    assert (document["waiting_since"], document["waited_seconds"]) == (None, None)
    assert (document["scheduled_time"], document["holder"]) == (None, None)


def test_a_cause_of_a_newer_service_is_unknown() -> None:
    newer = ExplainTaskRunResponse.FromString(b"\xca\x01\x00")  # a message in the field 25
    assert _limit_documents.explanation(newer, LATER)["cause"] == "UNKNOWN"
