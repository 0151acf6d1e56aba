"""Who goes first: first come, first served within a tag, and nobody is passed over without bound."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from clearway_service.core.proposals import Answer, Proposal
from clearway_service.core.queues import MAX_PASSED
from clearway_service.core.resources import Resource
from clearway_service.core.runs import RunKind
from clearway_service.core.states import ProposedState, StateType
from support.facts import FLOW, SECOND, TASK
from support.model import Model
from support.model_loading import Depths
from support.world import World

RUNNING, COMPLETED, CANCELLED = StateType.RUNNING, StateType.COMPLETED, StateType.CANCELLED

_ids = count()


@pytest.fixture(params=[None, Depths()], ids=["whole queues", "heads of queues"])
def world(request: pytest.FixtureRequest) -> World:
    """Return a store with two tags that have one slot each, loaded whole or as far as the real one."""
    made = World(Model(request.param))
    made.create(FLOW)
    made.set_limit("a", 1)
    made.set_limit("b", 1)
    return made


def start(world: World, id_: str, *tags: str, **more: Any) -> bool:
    """Create a run and ask to start it; return whether it may."""
    run = TASK._replace(id=id_, tags=tags, dynamic_key=id_)
    given: dict[str, Any] = {"create": run, "queues": True} | more
    state = ProposedState(RUNNING)
    answer = world.turn([Proposal(f"p{next(_ids)}", RunKind.TASK, id_, state, **given)]).outcomes[0]
    assert isinstance(answer, Answer)
    return answer.state.type == RUNNING


def end(world: World, id_: str, type_: StateType = COMPLETED) -> None:
    """End a run."""
    world.turn([Proposal(f"p{next(_ids)}", RunKind.TASK, id_, ProposedState(type_))])


def runs(world: World, id_: str) -> bool:
    """Return whether a run is Running."""
    return world.state(id_).type == RUNNING


def elder_passed_over(world: World, times: int) -> None:
    """Let ``elder`` wait for b, which ``holder`` has, while others take a."""
    start(world, "holder", "b")
    assert not start(world, "elder", "a", "b")
    for index in range(times):
        assert start(world, f"passing {index}", "a")
        end(world, f"passing {index}")


def test_within_a_tag_the_first_to_come_goes_first(world: World) -> None:
    start(world, "holder", "a")
    names = [f"run {index}" for index in range(6)]
    assert not any(start(world, name, "a") for name in names)
    for before, after in zip(["holder", *names], names, strict=False):
        end(world, before)
        assert [name for name in names if runs(world, name)] == [after]


def test_a_newcomer_stands_behind_those_who_were_not_loaded(world: World) -> None:
    world.store.depths = Depths(head=0, woken=1)
    start(world, "holder", "a")
    start(world, "first", "a")
    start(world, "second", "a")
    goes_away = world.store.queue(Resource.of_tag("a"))[0].proposal._replace(queues=False, keeps=60 * SECOND)
    ends = Proposal("ends", RunKind.TASK, "holder", ProposedState(COMPLETED))
    run = TASK._replace(id="newcomer", tags=("a",), dynamic_key="newcomer")
    comes = Proposal("comes", RunKind.TASK, run.id, ProposedState(RUNNING), create=run, queues=True)
    world.turn([goes_away, ends, comes], world.store.set_limit("a", 1))
    assert not runs(world, "newcomer")
    assert runs(world, "first") is not runs(world, "second")


def test_a_run_of_two_tags_is_passed_over_as_often_as_it_is_said_and_not_once_more(world: World) -> None:
    elder_passed_over(world, MAX_PASSED)
    assert not start(world, "late", "a")
    end(world, "holder")
    assert runs(world, "elder")
    assert not runs(world, "late")
    end(world, "elder")
    assert runs(world, "late")


def test_what_is_kept_for_an_elder_is_kept_in_the_queue_too(world: World) -> None:
    elder_passed_over(world, MAX_PASSED - 1)
    assert start(world, "last", "a")
    assert not start(world, "late", "a")
    assert not start(world, "later", "a")
    end(world, "last")
    assert not runs(world, "late")
    end(world, "holder")
    end(world, "elder")
    assert runs(world, "late")


@pytest.mark.parametrize("leaves", ["cancelled", "withdrawn", "its session ends"])
def test_what_was_kept_for_one_who_leaves_is_free_for_those_behind(world: World, leaves: str) -> None:
    world.open_session("its session")
    start(world, "holder", "b")
    start(world, "elder", "a", "b", session_id="its session")
    for index in range(MAX_PASSED):
        start(world, f"passing {index}", "a")
        end(world, f"passing {index}")
    assert not start(world, "late", "a")
    if leaves == "cancelled":
        end(world, "elder", CANCELLED)
    elif leaves == "withdrawn":
        (first, *_) = world.store.queue(Resource.of_tag("b"))
        world.turn(woken=world.store.remove_waiters([first.proposal.id]))
    else:
        world.end_session("its session")
    assert runs(world, "late")


@pytest.mark.parametrize("slots", [1, 2])
def test_one_that_waits_elsewhere_when_a_tag_is_limited_is_passed_over_no_more_often(
    world: World, slots: int
) -> None:
    start(world, "holder", "b")
    assert not start(world, "elder", "b", "c")
    world.set_limit("c", slots)
    for index in range(MAX_PASSED):
        assert start(world, f"passing {index}", "c")
        end(world, f"passing {index}")
    assert not start(world, "late", "c")
    end(world, "holder")
    assert runs(world, "elder")
    assert runs(world, "late") is (slots == 2)


def test_one_that_waits_elsewhere_and_does_not_need_the_limited_tag_keeps_nothing_of_it(
    world: World,
) -> None:
    start(world, "holder", "b")
    start(world, "other", "b")
    start(world, "away", "b", "c", queues=False, keeps=60 * SECOND)
    world.set_limit("c", 1)
    for index in range(MAX_PASSED + 2):
        assert start(world, f"passing {index}", "c")
        end(world, f"passing {index}")


def test_a_second_elder_is_passed_over_at_most_twice_as_often(world: World) -> None:
    elder_passed_over(world, 3)
    assert not start(world, "second elder", "a", "b")
    passed = 0
    while passed <= 2 * MAX_PASSED and start(world, f"more {passed}", "a"):
        end(world, f"more {passed}")
        passed += 1
    assert passed == MAX_PASSED - 3
    end(world, "elder", CANCELLED)
    assert runs(world, f"more {passed}")
    end(world, f"more {passed}")
    while passed <= 2 * MAX_PASSED and start(world, f"again {passed}", "a"):
        end(world, f"again {passed}")
        passed += 1
    assert passed <= 2 * MAX_PASSED
    end(world, "holder")
    assert runs(world, "second elder")


def test_one_that_is_away_keeps_nothing_from_others(world: World) -> None:
    start(world, "holder", "b")
    start(world, "elder", "a", "b", queues=False, keeps=60 * SECOND)
    for index in range(MAX_PASSED + 2):
        assert start(world, f"passing {index}", "a")
        end(world, f"passing {index}")


@pytest.mark.parametrize("full", [True, False], ids=["its other tag is full", "its other tag is free"])
def test_a_tag_that_has_lost_its_limit_keeps_nothing_for_elders(world: World, full: bool) -> None:
    start(world, "holder", "a")
    start(world, "elder", "a", "b")
    if full:
        start(world, "other holder", "b")
    names = [f"late {index}" for index in range(MAX_PASSED + 3)]
    assert not any(start(world, name, "a") for name in names)
    world.delete_limit("a")
    assert [name for name in names if not runs(world, name)] == []
    assert runs(world, "elder") is not full
