from __future__ import annotations

import pytest

from clearway._transport.outbox import Outbox
from clearway._transport.pending import PendingProposal, PendingProposals
from clearway.exceptions import InvalidArgument
from clearway.v1.proposal_pb2 import Accept, Decision, Proposal, ProposeRequest


@pytest.fixture
def pending() -> PendingProposals:
    return PendingProposals(60, lambda _delay, _entry: None)


@pytest.fixture
def outbox(pending: PendingProposals) -> Outbox:
    outbox = Outbox(pending)
    outbox.begin_stream()
    return outbox


def add(pending: PendingProposals, outbox: Outbox, proposal_id: str, size: int = 0) -> PendingProposal:
    proposal = Proposal(id=proposal_id)
    proposal.state.message = "x" * size
    entry = pending.add(proposal, None)
    outbox.add(entry)
    return entry


def taken(outbox: Outbox, max_bytes: int = 0) -> list[list[str]]:
    """Return the ids of proposals, and of withdrawals with a minus, message by message."""
    requests = [ProposeRequest.FromString(body) for body in outbox.take(max_bytes)]
    return [
        [proposal.id for proposal in request.proposals] + [f"-{id_}" for id_ in request.withdrawals]
        for request in requests
    ]


def test_all_that_is_there_goes_into_one_message_in_order(pending: PendingProposals, outbox: Outbox) -> None:
    for number in range(5):
        add(pending, outbox, str(number))
    assert taken(outbox) == [["0", "1", "2", "3", "4"]]
    assert taken(outbox) == []


def test_a_message_holds_at_most_256_proposals(pending: PendingProposals, outbox: Outbox) -> None:
    for number in range(600):
        add(pending, outbox, str(number))
    assert [len(taken(outbox)[0]) for _ in range(3)] == [256, 256, 88]


def test_messages_stay_below_the_services_limit(pending: PendingProposals, outbox: Outbox) -> None:
    for number in range(10):
        add(pending, outbox, str(number), size=100)
    messages = taken(outbox, max_bytes=500)
    assert len(messages) > 1
    assert [id_ for message in messages for id_ in message] == [str(number) for number in range(10)]


def test_a_proposal_larger_than_any_message_fails_and_the_others_go(
    pending: PendingProposals, outbox: Outbox
) -> None:
    add(pending, outbox, "0")
    large = add(pending, outbox, "1", size=1_000)
    add(pending, outbox, "2")
    assert taken(outbox, max_bytes=500) == [["0"], ["2"]]
    assert isinstance(large.future.exception(0), InvalidArgument)


def test_a_withdrawal_goes_with_what_else_is_there_however_large(
    pending: PendingProposals, outbox: Outbox
) -> None:
    waiting = add(pending, outbox, "0")
    taken(outbox)
    add(pending, outbox, "1", size=1_000)
    pending.withdraw("0")
    assert outbox.withdraw(waiting)
    assert taken(outbox, max_bytes=500) == [["-0"]]


def test_what_was_withdrawn_before_it_was_sent_is_never_sent(
    pending: PendingProposals, outbox: Outbox
) -> None:
    entry = add(pending, outbox, "0")
    pending.withdraw("0")
    assert not outbox.withdraw(entry)
    assert taken(outbox) == []


def test_a_new_stream_carries_again_what_has_no_answer(pending: PendingProposals, outbox: Outbox) -> None:
    for number in range(4):
        add(pending, outbox, str(number))
    taken(outbox)
    add(pending, outbox, "4")
    pending.settle([Decision(proposal_id="1", accept=Accept())])
    withdrawn = pending.withdraw("2")
    assert withdrawn is not None
    outbox.withdraw(withdrawn)
    assert outbox.begin_stream()
    assert taken(outbox) == [["0", "3", "4", "-2"]]


def test_what_is_added_while_a_stream_begins_is_sent_once(pending: PendingProposals, outbox: Outbox) -> None:
    entry = pending.add(Proposal(id="0"), None)
    outbox.begin_stream()
    outbox.add(entry)
    assert taken(outbox) == [["0"]]
    assert taken(outbox) == []


def test_a_new_session_knows_no_withdrawals(pending: PendingProposals, outbox: Outbox) -> None:
    entry = add(pending, outbox, "0")
    taken(outbox)
    pending.withdraw("0")
    outbox.withdraw(entry)
    outbox.begin_session()
    assert not outbox.begin_stream()
    assert taken(outbox) == []
