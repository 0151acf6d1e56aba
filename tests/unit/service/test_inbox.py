"""The order in which proposals have their turn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clearway_service.core.proposals import Proposal
from clearway_service.core.runs import RunKind
from clearway_service.core.states import ProposedState, StateType
from clearway_service.inbox import Inbox, Result
from support.proposals import COMPLETED, move, start

if TYPE_CHECKING:
    from unit.service.conftest import Service


def begin(name: str) -> Proposal:
    return Proposal(name, RunKind.TASK, f"run of {name}", ProposedState(StateType.RUNNING), queues=True)


def end(name: str) -> Proposal:
    return Proposal(name, RunKind.TASK, f"run of {name}", ProposedState(StateType.COMPLETED))


def one(_results: list[Result]) -> None: ...


def other(_results: list[Result]) -> None: ...


def taken(inbox: Inbox, most: int = 100) -> list[str]:
    return [entry.proposal.id for entry in inbox.take(most)]


def test_what_ends_runs_goes_ahead_of_what_other_clients_begin() -> None:
    inbox = Inbox()
    inbox.add([begin("a"), begin("b")], one)
    inbox.add([end("c"), end("d")], other)
    assert len(inbox) == 4
    assert taken(inbox, 3) == ["c", "d", "a"]
    assert taken(inbox) == ["b"]
    assert not inbox


def test_a_client_s_own_proposals_stay_in_their_order() -> None:
    inbox = Inbox()
    inbox.add([begin("a"), end("b")], one)
    inbox.add([end("c")], one)
    inbox.add([end("d")], other)
    inbox.add([begin("e")], other)
    inbox.add([end("f")], other)
    assert taken(inbox, 2) == ["d", "a"]
    inbox.add([end("g")], one)
    assert taken(inbox) == ["b", "c", "e", "f", "g"]
    inbox.add([begin("h")], other)
    inbox.add([end("i")], one)
    assert taken(inbox) == ["i", "h"]


def test_who_came_first_has_a_share_of_each_turn_however_many_ends_there_are() -> None:
    inbox = Inbox()
    inbox.add([begin("a"), begin("b"), begin("c")], one)
    inbox.add([end(f"end {number}") for number in range(20)], other)
    assert taken(inbox, 8) == [*(f"end {number}" for number in range(6)), "a", "b"]
    assert taken(inbox, 8)[-1] == "c"


def test_one_that_is_withdrawn_keeps_its_turn_and_takes_no_slot(service: Service) -> None:
    service.limit("disk", 2)
    first, second, third = service.client("first"), service.client("second"), service.client("third")
    wanted, unwanted = start(service.flow_id, tags=["disk"]), start(service.flow_id, tags=["disk"])
    with third.engine_held(start(service.flow_id)):
        second.propose(unwanted)
        first.propose(wanted)
        second.connection.withdraw([unwanted.id])
    assert first.decisions(wanted.id)[0].HasField("accept")
    assert second.decisions(unwanted.id)[0].HasField("wait")
    assert service.names(unwanted.create_task_run.id) == ["Pending"]
    assert first.decide(start(service.flow_id, tags=["disk"])).HasField("accept")


def test_one_that_is_withdrawn_does_not_go_ahead_of_what_its_client_proposed_before(service: Service) -> None:
    client, third = service.client("first"), service.client("third")
    proposal = start(service.flow_id)
    done = move(proposal.create_task_run.id, COMPLETED)
    with third.engine_held(start(service.flow_id)):
        client.propose(proposal)
        client.propose(done)
        client.connection.withdraw([done.id])
    assert client.decisions(done.id)[0].HasField("accept")


def test_a_slot_is_handed_on_before_those_who_came_since_have_joined_the_queue(service: Service) -> None:
    service.limit("disk", 1)
    holder, waiter, crowd = service.client("holder"), service.client("waiter"), service.client("crowd")
    held, first = start(service.flow_id, tags=["disk"]), start(service.flow_id, tags=["disk"])
    holder.decide(held)
    assert waiter.decide(first).wait.position == 1
    comers = [start(service.flow_id, tags=["disk"]) for _ in range(300)]
    with crowd.engine_held(start(service.flow_id)):
        crowd.propose(*comers)
        holder.propose(move(held.create_task_run.id, COMPLETED))
    assert waiter.decisions(first.id, 2)[1].HasField("accept")
    last = crowd.decisions(comers[-1].id)[0]
    assert last.wait.position == 300, "the one who waited longest stands there no more"
