from __future__ import annotations

import random
from concurrent.futures import CancelledError
from typing import Any

import pytest

from clearway._transport.pending import PendingProposal, PendingProposals
from clearway.exceptions import ClientClosed, InvalidArgument, ServerUnavailable
from clearway.v1 import error_pb2
from clearway.v1.proposal_pb2 import Accept, Decision, Proposal, ProposalError, Wait


class Resender:
    def __init__(self) -> None:
        self.asked: list[tuple[float, PendingProposal]] = []

    def __call__(self, delay: float, entry: PendingProposal) -> None:
        self.asked.append((delay, entry))


@pytest.fixture
def resender() -> Resender:
    return Resender()


@pytest.fixture
def pending(resender: Resender) -> PendingProposals:
    return PendingProposals(60, resender, lambda: 1.0)


def accept(proposal_id: str) -> Decision:
    return Decision(proposal_id=proposal_id, accept=Accept())


def error(proposal_id: str, reason: Any, message: str = "", field: str = "") -> Decision:
    return Decision(proposal_id=proposal_id, error=ProposalError(reason=reason, message=message, field=field))


def queued(proposal_id: str) -> Decision:
    return Decision(proposal_id=proposal_id, wait=Wait(queued=True))


def test_decisions_are_matched_by_id_in_any_order(pending: PendingProposals) -> None:
    first = pending.add(Proposal(id="1"), None)
    second = pending.add(Proposal(id="2"), None)
    pending.settle([accept("2"), accept("1")])
    assert first.future.result(0).proposal_id == "1"
    assert second.future.result(0).proposal_id == "2"
    assert pending.all() == []


def test_a_wait_in_the_queue_is_told_and_is_not_the_last_word(pending: PendingProposals) -> None:
    waits: list[Decision] = []
    entry = pending.add(Proposal(id="1"), waits.append)
    pending.settle([queued("1")])
    assert waits == [queued("1")]
    assert not entry.future.done()
    pending.settle([accept("1")])
    assert entry.future.result(0) == accept("1")


def test_a_wait_with_a_time_is_final(pending: PendingProposals) -> None:
    entry = pending.add(Proposal(id="1"), None)
    decision = Decision(proposal_id="1", wait=Wait(queued=False))
    pending.settle([decision])
    assert entry.future.result(0) == decision


def test_who_fails_to_take_a_wait_does_not_harm_others(
    pending: PendingProposals, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(decision: Decision) -> None:
        raise ZeroDivisionError(decision.proposal_id)

    pending.add(Proposal(id="1"), broken)
    other = pending.add(Proposal(id="2"), None)
    pending.settle([queued("1"), accept("2")])
    assert other.future.result(0) == accept("2")
    assert "ZeroDivisionError" in caplog.text


def test_an_error_becomes_the_futures_exception(pending: PendingProposals) -> None:
    entry = pending.add(Proposal(id="1"), None)
    pending.settle([error("1", error_pb2.ERROR_REASON_INVALID_ARGUMENT, "bad tag", "create_task_run.tags")])
    with pytest.raises(InvalidArgument, match="bad tag") as caught:
        entry.future.result(0)
    assert caught.value.field == "create_task_run.tags"
    assert caught.value.reason == error_pb2.ERROR_REASON_INVALID_ARGUMENT


def test_what_the_service_cannot_take_now_is_sent_again_ever_later(
    pending: PendingProposals, resender: Resender
) -> None:
    entry = pending.add(Proposal(id="1"), None)
    for _ in range(10):
        pending.settle([error("1", error_pb2.ERROR_REASON_STORE_UNAVAILABLE)])
    delays = [delay for delay, _ in resender.asked]
    assert delays == sorted(delays)
    assert (delays[0], delays[-1]) == (0.05, 2.0)
    assert {again for _, again in resender.asked} == {entry}
    assert pending.is_pending(entry)


def test_what_the_service_cannot_take_for_too_long_fails(resender: Resender) -> None:
    impatient = PendingProposals(-1, resender)
    entry = impatient.add(Proposal(id="1"), None)
    impatient.settle([error("1", error_pb2.ERROR_REASON_STORE_UNAVAILABLE, "the disk is full")])
    with pytest.raises(ServerUnavailable, match="the disk is full"):
        entry.future.result(0)


def test_an_expired_session_is_reported_and_its_proposals_stay(pending: PendingProposals) -> None:
    entry = pending.add(Proposal(id="1"), None)
    assert pending.settle([error("1", error_pb2.ERROR_REASON_SESSION_EXPIRED)])
    assert pending.all() == [entry]
    assert not pending.settle([accept("1")])


def test_a_withdrawn_proposal_is_cancelled_and_its_decision_ignored(pending: PendingProposals) -> None:
    entry = pending.add(Proposal(id="1"), None)
    assert pending.withdraw("1") is entry
    assert pending.withdraw("1") is None
    with pytest.raises(CancelledError):
        entry.future.result(0)
    pending.settle([accept("1"), queued("1"), error("1", error_pb2.ERROR_REASON_STORE_UNAVAILABLE)])


def test_a_future_that_its_owner_cancelled_does_no_harm(pending: PendingProposals) -> None:
    entry = pending.add(Proposal(id="1"), None)
    other = pending.add(Proposal(id="2"), None)
    entry.future.cancel()
    pending.settle([accept("1"), accept("2")])
    assert other.future.done()


def test_all_that_is_pending_can_be_failed_each_with_its_own_exception(pending: PendingProposals) -> None:
    entries = [pending.add(Proposal(id=str(number)), None) for number in range(3)]
    pending.fail_all(lambda: ClientClosed("closed"))
    errors = [entry.future.exception(0) for entry in entries]
    assert all(isinstance(error, ClientClosed) for error in errors)
    assert len({id(error) for error in errors}) == 3


def test_what_many_clients_have_to_send_again_they_send_at_different_times(resender: Resender) -> None:
    draw = random.Random(1).random
    for _ in range(100):
        client = PendingProposals(60, resender, draw)
        client.add(Proposal(id="1"), None)
        client.settle([error("1", error_pb2.ERROR_REASON_SHUTTING_DOWN)])
    delays = [delay for delay, _ in resender.asked]
    assert len(set(delays)) == 100
    assert min(delays) < 0.01
    assert 0.04 < max(delays) <= 0.05
