from __future__ import annotations

from google.protobuf.timestamp_pb2 import Timestamp

from clearway.schemas import LimitExplanation, WaitCause
from clearway.v1.concurrency_limit_pb2 import SlotHolder
from clearway.v1.explanation_pb2 import LimitExplanation as Message
from clearway.v1.explanation_pb2 import WaitCause as TheirCause

NOON = Timestamp(seconds=1_767_268_800)


def test_a_holder_that_waits_for_the_run_itself_is_named() -> None:
    ancestor = SlotHolder(task_run_id="t", task_run_name="parent", since=NOON)
    explained = LimitExplanation.from_proto(Message(tag="disk", holders=[ancestor], ancestor=ancestor))
    assert explained.ancestor == explained.holders[0]
    assert explained.ancestor.task_run_name == "parent"
    assert explained.ancestor.lease_expires is None


def test_a_place_in_another_queue_is_none() -> None:
    assert LimitExplanation.from_proto(Message(tag="disk")).position is None
    assert LimitExplanation.from_proto(Message(tag="disk", position=2)).position == 2


def test_the_causes_are_the_protocols_and_a_newer_one_is_unknown() -> None:
    theirs = {int(value): name.removeprefix("WAIT_CAUSE_") for name, value in TheirCause.items() if value}
    assert theirs == {int(cause): cause.name for cause in WaitCause if cause is not WaitCause.UNKNOWN}
    assert WaitCause(99) is WaitCause.UNKNOWN
