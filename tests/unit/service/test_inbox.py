"""The order in which proposals have their turn."""

from __future__ import annotations

import gc
import weakref
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from clearway_service.core.proposals import Proposal
from clearway_service.core.runs import RunKind
from clearway_service.core.states import ProposedState, StateType
from clearway_service.engine.budget import Budget, Caller
from clearway_service.engine.inbox import QUANTUM, REMEMBERED, Inbox, Result, Submitted
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


MANY = 10_000


def budgeted(count: int) -> list[Caller]:
    budget = Budget(256 * 1024 * 1024, 32 * 1024 * 1024)
    return [budget.caller() for _ in range(count)]


def name(entry: Submitted) -> str:
    return entry.proposal.id


def test_a_small_client_is_part_of_the_next_turn_whatever_others_have_submitted() -> None:
    inbox, (*floods, small) = Inbox(), budgeted(9)
    for number, flood in enumerate(floods):
        inbox.add([begin(f"{number} {count}") for count in range(MANY)], one, flood)
    for turn in range(100):
        inbox.add([begin(f"small {turn}")], one, small)
        assert list(map(name, inbox.take(512))) == [f"small {turn}"], "a turn of its own"
        inbox.add([begin(f"small {turn} again")], one, small)
        taken = inbox.take(512)
        assert len(taken) == 512, "the turn after that is for all"
        assert name(taken[-1]) == f"small {turn} again", "within a turn the order is that of arrival"


def test_large_clients_have_the_same_part_of_the_turns() -> None:
    inbox, floods = Inbox(), budgeted(5)
    for number, flood in enumerate(floods):
        inbox.add([begin(f"{number} {count}") for count in range(MANY)], one, flood)
    had: Counter[str] = Counter()
    for _ in range(40):
        had.update(name(entry).split()[0] for entry in inbox.take(300))
        assert max(had.values()) - min(had[str(number)] for number in range(5)) <= 2 * QUANTUM


def test_a_client_without_room_is_passed_over_until_it_has_some() -> None:
    resumed: list[Caller] = []
    inbox = Inbox(resumed.append)
    full, free = budgeted(2)
    full.owe(64 * 1024 * 1024)
    inbox.add([begin("a"), begin("b")], one, full)
    inbox.add([begin("c")], one, free)
    assert taken(inbox) == ["c"]
    assert (inbox.ready, len(inbox)) == (False, 2)
    inbox.add([begin("d")], one, full)
    assert not inbox.ready
    full.sent(64 * 1024 * 1024)
    assert resumed == [full]
    inbox.resume(full)
    assert taken(inbox) == ["a", "b", "d"]
    inbox.resume(full)
    assert not inbox.ready


def test_one_whose_decisions_are_large_has_fewer_of_them_in_a_turn() -> None:
    inbox, (large, small) = Inbox(), budgeted(2)
    large.expected = 128 * 1024
    inbox.add([begin(f"large {number}") for number in range(1_000)], one, large)
    inbox.add([begin(f"small {number}") for number in range(200)], one, small)
    names = taken(inbox, 1_000)
    assert sum(each.startswith("small") for each in names) == 200
    assert sum(each.startswith("large") for each in names) == 64


def test_what_is_put_back_comes_before_what_its_client_submitted_since() -> None:
    inbox = Inbox()
    inbox.add([end("a"), end("b")], one)
    inbox.add([begin("c"), end("d")], one)
    entries = inbox.take(10)
    inbox.add([end("e")], one)
    inbox.put_back(entries[1:])
    inbox.disown({"c"})
    again = inbox.take(10)
    assert [name(entry) for entry in again] == ["b", "c", "d", "e"]
    assert [entry.proposal.unwanted for entry in again] == [False, True, False, False]


def test_a_withdrawn_proposal_that_came_twice_is_unwanted_both_times() -> None:
    inbox = Inbox()
    inbox.add([begin("a"), begin("b"), begin("a")], one)
    inbox.disown({"a", "never heard of"})
    assert [entry.proposal.unwanted for entry in inbox.take(10)] == [True, False, True]
    inbox.add([begin("a")], one)
    assert [entry.proposal.unwanted for entry in inbox.take(10)] == [False]


@pytest.mark.parametrize("others", [0, 2], ids=["alone", "beside others"])
def test_short_clients_are_forgotten(others: int) -> None:
    inbox, budget = Inbox(), Budget(256 * 1024 * 1024, 32 * 1024 * 1024)
    callers: list[weakref.ref[Caller]] = []

    def come() -> None:
        caller = budget.caller()
        callers.append(weakref.ref(caller))
        inbox.add([begin("a")], one, caller)

    for _ in range(others):
        come()
    for _ in range(5 * REMEMBERED):
        come()
        assert len(inbox.take(1)) == 1
    gc.collect()
    assert sum(caller() is not None for caller in callers) <= REMEMBERED + others + 1


def test_a_client_that_comes_back_in_each_turn_has_no_larger_part_than_others() -> None:
    inbox, (*floods, back) = Inbox(), budgeted(4)
    for number, flood in enumerate(floods):
        inbox.add([begin(f"{number} {count}") for count in range(MANY)], one, flood)
    had: Counter[str] = Counter()
    for _ in range(40):
        inbox.add([begin(f"back {count}") for count in range(200)], one, back)
        had.update(name(entry).split()[0] for entry in inbox.take(300))
    assert had["back"] <= min(had[str(number)] for number in range(3)) + 2 * QUANTUM


class Turns(RuleBasedStateMachine):
    """Clients submit, turns take and put back; beside it, what each client has yet to be decided."""

    def __init__(self) -> None:
        super().__init__()
        self.resumed: list[Caller] = []
        self.inbox = Inbox(self.resumed.append)
        self.callers = budgeted(4)
        self.left: dict[Caller, list[str]] = {caller: [] for caller in self.callers}
        self.waited: Counter[Caller] = Counter()
        self.number = 0

    @rule(client=st.integers(0, 3), ends=st.lists(st.booleans(), min_size=1, max_size=400))
    def submit(self, client: int, ends: list[bool]) -> None:
        caller = self.callers[client]
        proposals = []
        for ending in ends:
            self.number += 1
            proposals.append(end(str(self.number)) if ending else begin(str(self.number)))
        self.inbox.add(proposals, one, caller)
        self.left[caller] += [proposal.id for proposal in proposals]

    @rule(client=st.integers(0, 3), takes=st.booleans())
    def change_room(self, client: int, *, takes: bool) -> None:
        caller = self.callers[client]
        if takes:
            caller.sent(caller.decisions)
        else:
            caller.owe(max(0, caller.room()))
        for each in self.resumed:
            self.inbox.resume(each)
        self.resumed.clear()

    @rule(most=st.integers(4, 300), keep=st.floats(0.1, 1))
    def turn(self, most: int, keep: float) -> None:
        entries = self.inbox.take(most)
        assert len(entries) <= most
        could = {caller for caller, left in self.left.items() if left and caller.room() > 0}
        assert bool(entries) == bool(could)
        decided = entries[: max(1, int(keep * len(entries)))]
        self.inbox.put_back(entries[len(decided) :])
        for entry in decided:
            assert entry.caller is not None
            assert name(entry) == self.left[entry.caller].pop(0), "a client's own order"
        had = {entry.caller for entry in entries}
        for caller in self.callers:
            self.waited[caller] = self.waited[caller] + most if caller in could - had else 0
            # A round is a quantum of each other client, and each begins with what is left of the last one.
            assert self.waited[caller] <= 2 * len(self.callers) * QUANTUM + most

    @invariant()
    def nothing_is_lost(self) -> None:
        assert len(self.inbox) == sum(map(len, self.left.values()))


TestTurns = Turns.TestCase
