"""Single flight: a key that a run is computing is waited for, and led by the next one where that fails."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from clearway_service.core.decisions import Abort, Accept, Ancestor, Reject, Wait
from clearway_service.core.proposals import Answer, Proposal
from clearway_service.core.queues import MAX_PASSED
from clearway_service.core.resources import Resource
from clearway_service.core.runs import RunKind
from clearway_service.core.snapshot import Snapshot
from clearway_service.core.states import ProposedState, StateType
from support.facts import FLOW, SECOND, TASK
from support.model import Model
from support.model_loading import Depths
from support.world import World

SCHEDULED, PENDING, RUNNING, COMPLETED, FAILED, CANCELLED, CRASHED = StateType

_ids = count()


@pytest.fixture(params=[None, Depths()], ids=["whole queues", "heads of queues"])
def model(request: pytest.FixtureRequest) -> World:
    """Return a store with one flow run and two sessions."""
    made = World(Model(request.param))
    made.create(FLOW)
    made.open_session("session")
    made.open_session("other session")
    return made


def propose(run_id: str, type_: StateType, **more: Any) -> Proposal:
    own = {key: more.pop(key) for key in tuple(more) if key in Proposal._fields}
    given: dict[str, Any] = {"id": f"s{next(_ids)}", "session_id": "session", "queues": True} | own
    return Proposal(kind=RunKind.TASK, run_id=run_id, state=ProposedState(type_, **more), **given)


def start(id_: str, *tags: str, key: str = "key", **more: Any) -> Proposal:
    """Return the proposal that creates a run and asks for Running with a key and single flight."""
    retries = more.pop("retries", 0)
    spec = TASK._replace(id=id_, dynamic_key=id_, tags=tags, retries=retries)
    return propose(id_, RUNNING, create=spec, **({"cache_key": key, "single_flight": True} | more))


def complete(id_: str, key: str = "key", **more: Any) -> Proposal:
    return propose(id_, COMPLETED, cache_key=key, data=id_.encode(), **more)


def one(model: World, proposal: Proposal) -> Answer:
    outcome = model.turn([proposal]).outcomes[0]
    assert isinstance(outcome, Answer), outcome
    return outcome


@pytest.fixture
def led(model: World) -> World:
    """Return a store in which ``leader`` computes the key."""
    assert one(model, start("leader")).decision == Accept()
    return model


class TestFollowing:
    def test_a_run_waits_for_the_one_that_computes_its_key(self, led: World) -> None:
        answer = one(led, start("a"))
        assert isinstance(answer.decision, Wait)
        assert answer.decision.cache_key == "key"
        assert answer.decision.blocking_tags == ()
        assert (answer.queued, answer.position) == (True, 1)
        assert one(led, start("b")).position == 2
        assert led.computing("key") == ["leader"]

    def test_another_key_is_another_matter(self, led: World) -> None:
        assert one(led, start("a", key="other")).decision == Accept()

    def test_who_does_not_ask_for_it_computes_too(self, led: World) -> None:
        assert one(led, start("a", single_flight=False)).decision == Accept()
        assert led.computing("key") == ["a", "leader"]

    def test_all_have_the_result_in_the_turn_that_completes_it(self, led: World) -> None:
        led.turn([start(name) for name in "abcdefgh"])
        woken = led.turn([complete("leader")]).woken
        assert [answer.run.id for answer in woken] == list("abcdefgh")
        assert all(isinstance(answer.decision, Reject) for answer in woken)
        assert {led.state(name).data for name in "abcdefgh"} == {b"leader"}
        assert led.computing("key") == []

    def test_a_run_that_runs_once_more_does_not_wait_for_itself(self, led: World) -> None:
        answer = one(led, propose("leader", RUNNING, cache_key="key", single_flight=True))
        assert answer.state.name == "Rerunning"

    def test_a_run_that_runs_once_more_for_another_key_leaves_the_one_it_had(self, led: World) -> None:
        one(led, start("a"))
        one(led, propose("leader", RUNNING, cache_key="other", single_flight=True))
        assert (led.computing("key"), led.computing("other")) == (["a"], ["leader"])

    def test_one_that_refreshes_waits_for_nobody_and_is_waited_for(self, led: World) -> None:
        assert one(led, start("fresh", refresh_cache=True)).decision == Accept()
        one(led, propose("leader", FAILED))
        assert one(led, start("a")).queued
        one(led, complete("fresh"))
        assert led.names("a") == ["Pending", "Cached"]

    def test_one_that_was_cancelled_while_it_waited_is_told_so(self, led: World) -> None:
        one(led, start("a"))
        woken = led.turn([propose("a", CANCELLED)]).woken
        assert [type(answer.decision) for answer in woken] == [Abort]

    def test_what_leads_without_a_result_lets_the_next_one_lead(self, led: World) -> None:
        one(led, start("a"))
        one(led, propose("leader", COMPLETED))
        assert led.computing("key") == ["a"]


class TestLeadersThatFail:
    @pytest.mark.parametrize("end", [FAILED, CANCELLED, CRASHED])
    def test_the_next_one_leads_at_once_and_the_others_wait_on(self, led: World, end: StateType) -> None:
        led.turn([start(name) for name in "abc"])
        woken = led.turn([propose("leader", end)]).woken
        assert [(answer.run.id, type(answer.decision)) for answer in woken] == [("a", Accept)]
        assert led.computing("key") == ["a"]
        one(led, complete("a"))
        assert [led.state(name).name for name in "bc"] == ["Cached", "Cached"]

    def test_one_that_awaits_its_retry_has_left(self, model: World) -> None:
        one(model, start("leader", retries=1))
        one(model, start("a"))
        assert one(model, propose("leader", FAILED)).state.name == "AwaitingRetry"
        assert model.computing("key") == ["a"]
        assert one(model, propose("leader", RUNNING, cache_key="key", single_flight=True)).queued

    def test_a_lease_that_ends_lets_the_next_one_lead(self, led: World) -> None:
        one(led, start("a", session_id="other session"))
        led.end_session("session")
        assert led.names("leader") == ["Running", "Crashed"]
        assert led.computing("key") == ["a"]

    def test_a_waiter_whose_session_ends_is_passed_by(self, led: World) -> None:
        one(led, start("a", session_id="other session"))
        one(led, start("b"))
        led.end_session("other session")
        one(led, propose("leader", FAILED))
        assert led.computing("key") == ["b"]


class TestSlots:
    def test_who_waits_for_a_key_takes_no_slot(self, led: World) -> None:
        led.set_limit("disk", 1)
        one(led, start("a", "disk"))
        assert led.slots() == []
        assert one(led, start("other", "disk", key="")).decision == Accept()

    def test_a_run_that_waits_for_a_slot_does_not_lead(self, model: World) -> None:
        model.set_limit("disk", 1)
        one(model, start("holder", "disk", key=""))
        assert one(model, start("a", "disk")).decision.blocking_tags == ("disk",)  # type: ignore[union-attr]
        assert one(model, start("b")).decision == Accept()
        one(model, propose("holder", COMPLETED))
        assert model.slots() == [], "it waits for the key now, and the slot is for others"
        one(model, complete("b"))
        assert model.names("a") == ["Pending", "Cached"]

    def test_who_waits_for_slots_has_the_result_too(self, model: World) -> None:
        model.set_limit("disk", 1)
        one(model, start("holder", "disk", key=""))
        model.turn([start(name, "disk") for name in "abc"])
        one(model, start("elsewhere"))
        one(model, complete("elsewhere"))
        assert [model.state(name).name for name in "abc"] == ["Cached"] * 3
        assert model.slots() == [("disk", "holder")]

    def test_a_follower_that_leads_may_wait_for_a_slot_then(self, led: World) -> None:
        led.set_limit("disk", 1)
        one(led, start("holder", "disk", key=""))
        one(led, start("a", "disk"))
        one(led, start("b"))
        one(led, propose("leader", FAILED))
        assert led.computing("key") == ["b"]
        one(led, propose("holder", COMPLETED))
        one(led, propose("b", FAILED))
        assert led.computing("key") == ["a"]
        assert led.slots() == [("disk", "a")]

    def test_no_slot_is_kept_for_one_that_waits_for_a_key(self, led: World) -> None:
        for tag in ("disk", "cpu"):
            led.set_limit(tag, 1)
        one(led, start("a", "disk", "cpu"))
        for number in range(MAX_PASSED + 2):
            run_id = f"passing-{number}"
            assert one(led, start(run_id, "disk", key="")).decision == Accept()
            one(led, propose(run_id, COMPLETED))
        assert led.names("a") == ["Pending"]

    def test_one_that_turns_from_a_key_to_slots_frees_what_was_kept_for_a_later_one(self, led: World) -> None:
        for tag in ("disk", "cpu"):
            led.set_limit(tag, 1)
        one(led, start("holder", "cpu", key=""))
        one(led, start("a", "disk", "cpu"))
        one(led, start("elder", "disk", "cpu", key=""))
        for number in range(MAX_PASSED):
            run_id = f"passing-{number}"
            assert one(led, start(run_id, "disk", key="")).decision == Accept()
            one(led, propose(run_id, COMPLETED))
        assert one(led, start("late", "disk", key="")).queued, "the slot is kept for the elder"
        one(led, propose("leader", FAILED))
        assert led.slots() == [("cpu", "holder"), ("disk", "late")], "nothing is kept for a, which came first"


class TestAncestors:
    """Who computes the key may wait for the run that asks for it."""

    def test_a_run_that_its_leader_waits_for_computes_too(self, model: World) -> None:
        load = model.store.load
        awaits = [Ancestor("leader", "a task run", Resource.of_key("key"))]

        def with_ancestors(*arguments: Any) -> Snapshot:
            snapshot = load(*arguments)
            snapshot.ancestors["child"] = awaits
            return snapshot

        model.store.load = with_ancestors  # type: ignore[method-assign]
        one(model, start("leader"))
        assert one(model, start("child")).decision == Accept()
        assert one(model, start("stranger")).queued


def test_an_entry_that_has_expired_since_is_computed_by_the_next(led: World) -> None:
    one(led, complete("leader", cache_expiration=SECOND))
    led.now += SECOND
    assert one(led, start("a")).decision == Accept()
    assert one(led, start("b")).queued
