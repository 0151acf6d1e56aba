from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from clearway.schemas import (
    ConcurrencyLimit,
    FlowRun,
    LimitExplanation,
    TaskRun,
    TaskRunExplanation,
    WaitCause,
)
from clearway.v1.concurrency_limit_pb2 import ConcurrencyLimit as LimitMessage
from clearway.v1.concurrency_limit_pb2 import SlotHolder
from clearway.v1.explanation_pb2 import ExplainTaskRunResponse
from clearway.v1.explanation_pb2 import LimitExplanation as Message
from clearway.v1.flow_run_pb2 import FlowRun as FlowRunMessage
from clearway.v1.state_pb2 import STATE_TYPE_PENDING
from clearway.v1.task_run_pb2 import TaskRun as TaskRunMessage

NOON = Timestamp(seconds=1_767_268_800)
AT_NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def message(**cause: Any) -> ExplainTaskRunResponse:
    answer = ExplainTaskRunResponse(**cause)
    answer.task_run.state.type = STATE_TYPE_PENDING
    return answer


def explained(**cause: Any) -> TaskRunExplanation:
    return TaskRunExplanation.from_proto(message(**cause))


def test_a_holder_that_waits_for_the_run_itself_is_named() -> None:
    ancestor = SlotHolder(task_run_id="t", task_run_name="parent", acquire_time=NOON)
    explained = LimitExplanation.from_proto(Message(tag="disk", holders=[ancestor], ancestor=ancestor))
    assert explained.ancestor == explained.holders[0]
    assert explained.ancestor.task_run_name == "parent"
    assert explained.ancestor.lease_expires is None


def test_a_place_in_another_queue_is_none() -> None:
    assert LimitExplanation.from_proto(Message(tag="disk")).position is None
    assert LimitExplanation.from_proto(Message(tag="disk", position=2)).position == 2


def test_every_cause_of_the_protocol_has_one_here_and_a_newer_one_is_unknown() -> None:
    theirs = {
        field.name: WaitCause.of(ExplainTaskRunResponse(**{field.name: {}}))
        for field in ExplainTaskRunResponse.DESCRIPTOR.oneofs_by_name["cause"].fields
    }
    assert theirs == {
        "ended": WaitCause.NOTHING,
        "running": WaitCause.NOTHING,
        "limit": WaitCause.LIMIT,
        "cache_leader": WaitCause.CACHE,
        "schedule": WaitCause.SCHEDULE,
        "upstream": WaitCause.UPSTREAM,
        "client": WaitCause.CLIENT,
    }
    assert {*theirs.values(), WaitCause.UNKNOWN} == set(WaitCause)
    assert WaitCause.of(ExplainTaskRunResponse()) is WaitCause.UNKNOWN


def test_an_explanation_has_the_facts_of_its_cause() -> None:
    leader = SlotHolder(task_run_id="t", acquire_time=NOON)
    queued = explained(cache_leader={"cache_key": "k", "leader": leader, "position": 2, "enqueue_time": NOON})
    assert (queued.cache_key, queued.cache_position, queued.leader is not None) == ("k", 2, True)
    assert (
        queued.waiting_since
        == explained(limit={"tag": "disk", "enqueue_time": NOON}).waiting_since
        == AT_NOON
    )
    running = explained(running={"holder": leader, "awaited_task_run_id": "u"})
    assert running.holder is not None
    assert (running.holder.task_run_id, running.awaited_task_run_id) == ("t", "u")
    assert explained(schedule={"scheduled_time": NOON}).scheduled_time == AT_NOON
    waits = explained(upstream={"runs": [{"task_run_id": "u", "state_type": 1}], "run_count": 5})
    assert ([run.task_run_id for run in waits.upstream], waits.upstream_count) == (["u"], 5)


def test_a_scheduled_run_that_waits_for_a_slot_has_both_times() -> None:
    answer = message(limit={"enqueue_time": NOON})
    answer.task_run.state.details.scheduled_time.CopyFrom(NOON)
    explanation = TaskRunExplanation.from_proto(answer)
    assert (explanation.waiting_since, explanation.scheduled_time) == (AT_NOON, AT_NOON)


def test_a_limit_s_active_slots_are_its_holders() -> None:
    holders = [SlotHolder(task_run_id=each, acquire_time=NOON) for each in "ab"]
    limit = ConcurrencyLimit.from_proto(LimitMessage(tag="disk", taken_count=7, holders=holders))
    assert (limit.active_slots, limit.taken) == (("a", "b"), 7)


def test_retries_are_the_attempts_after_the_first() -> None:
    for attempts, retries in ((0, 0), (1, 0), (4, 3)):
        policy = {"max_attempts": attempts, "delays": [{"seconds": 2}], "jitter_factor": 0.5}
        state = {"type": 4, "name": "Completed"}
        for read in (
            FlowRun.from_proto(FlowRunMessage(spec={"retry_policy": policy}, state=state)),
            TaskRun.from_proto(TaskRunMessage(spec={"retry_policy": policy}, state=state)),
        ):
            assert (read.retries, read.retry_delays, read.retry_jitter_factor) == (
                retries,
                (timedelta(seconds=2),),
                0.5,
            )
