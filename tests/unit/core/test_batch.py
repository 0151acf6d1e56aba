"""A batch over a store of dictionaries: what proposals are answered, and what that changes."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from clearway_service.core.decisions import Abort, AbortReason, Accept, Reject, Wait
from clearway_service.core.proposals import Answer, Outcome, Problem, Proposal, Refusal
from clearway_service.core.resources import Resource
from clearway_service.core.runs import RunKind
from clearway_service.core.states import ProposedState, StateType
from support.facts import FLOW, SECOND, TASK
from support.world import World

SCHEDULED, PENDING, RUNNING, COMPLETED, FAILED, CANCELLED, CRASHED = StateType

_ids = count()


@pytest.fixture
def model() -> World:
    """Return a store with one flow run and one session."""
    made = World()
    made.create(FLOW)
    made.open_session("session")
    return made


def propose(run_id: str, type_: StateType, **more: Any) -> Proposal:
    """Return a proposal that waits in the queue; ``more`` is about the proposal or the state."""
    own = {key: more.pop(key) for key in tuple(more) if key in Proposal._fields}
    kind = RunKind.FLOW if run_id == FLOW.id else RunKind.TASK
    given: dict[str, Any] = {"id": f"p{next(_ids)}", "session_id": "session", "queues": True} | own
    return Proposal(kind=kind, run_id=run_id, state=ProposedState(type_, **more), **given)


def start(id_: str, *tags: str, state: StateType = RUNNING, **more: Any) -> Proposal:
    """Return the proposal that creates a run with tags and asks for ``state``."""
    about = {key: more.pop(key) for key in tuple(more) if key in TASK._fields and key != "id"}
    return propose(
        id_, state, create=TASK._replace(**({"id": id_, "dynamic_key": id_, "tags": tags} | about)), **more
    )


def one(model: World, proposal: Proposal) -> Answer:
    """Propose in a turn of its own."""
    outcome = many(model, proposal)[0]
    assert isinstance(outcome, Answer), outcome
    return outcome


def many(model: World, *proposals: Proposal) -> list[Outcome]:
    """Propose in one turn."""
    return model.turn(proposals).outcomes


class TestCreatingAndStarting:
    def test_a_run_is_created_and_accepted_in_one_turn(self, model: World) -> None:
        answer = one(model, start("a"))
        assert answer.decision == Accept()
        assert model.names("a") == ["Running"]

    def test_a_run_that_may_not_start_yet_is_created_pending(self, model: World) -> None:
        model.set_limit("disk", 1)
        one(model, start("a", "disk"))
        answer = one(model, start("b", "disk"))
        assert answer.queued
        assert answer.position == 1
        assert answer.state.name == "Pending"
        assert model.names("b") == ["Pending"]

    def test_a_run_that_may_never_start_is_created_pending(self, model: World) -> None:
        model.set_limit("disk", 0)
        answer = one(model, start("a", "disk"))
        assert isinstance(answer.decision, Abort)
        assert answer.decision.reason is AbortReason.LIMIT_ZERO
        assert model.names("a") == ["Pending"]

    def test_the_same_task_and_keys_are_the_same_run(self, model: World) -> None:
        first = start("a", dynamic_key="same")
        again = start("b", dynamic_key="same")
        many(model, first)
        answer = one(model, again)
        assert answer.run.id == "a"
        assert model.names("a") == ["Running", "Rerunning"]
        assert "b" not in model.store.runs

    def test_it_is_the_same_run_within_one_turn_too(self, model: World) -> None:
        first, again = many(model, start("a", dynamic_key="same"), start("b", dynamic_key="same"))
        assert isinstance(first, Answer)
        assert isinstance(again, Answer)
        assert first.run.id == again.run.id == "a"

    def test_an_id_of_another_run_is_refused(self, model: World) -> None:
        one(model, start("a", dynamic_key="one"))
        outcome = many(model, start("a", dynamic_key="two"))[0]
        assert isinstance(outcome, Refusal)
        assert outcome.problem is Problem.RUN_CONFLICT

    def test_a_flow_run_that_is_not_there_is_refused(self, model: World) -> None:
        outcome = many(model, start("a", flow_run_id="nowhere"))[0]
        assert isinstance(outcome, Refusal)
        assert (outcome.problem, outcome.subject) == (Problem.FLOW_RUN_NOT_FOUND, "nowhere")
        assert "a" not in model.store.runs

    @pytest.mark.parametrize("run_id", ["nobody", FLOW.id])
    def test_a_task_run_that_is_not_there_is_refused(self, model: World, run_id: str) -> None:
        outcome = many(model, propose(run_id, RUNNING)._replace(kind=RunKind.TASK))[0]
        assert isinstance(outcome, Refusal)
        assert outcome.problem is Problem.RUN_NOT_FOUND


class TestNames:
    def test_a_run_that_is_run_again_while_it_runs_is_rerunning(self, model: World) -> None:
        one(model, start("a"))
        one(model, propose("a", RUNNING))
        assert model.names("a") == ["Running", "Rerunning"]

    def test_a_run_that_failed_awaits_its_retry_and_is_then_retrying(self, model: World) -> None:
        one(model, start("a", retries=1, retry_delays=(5 * SECOND,)))
        answer = one(model, propose("a", FAILED, message="no"))
        assert isinstance(answer.decision, Reject)
        early = one(model, propose("a", RUNNING))
        assert early.decision == Wait(5 * SECOND, "the run is AwaitingRetry for a later time")
        model.now += 5 * SECOND
        one(model, propose("a", RUNNING))
        one(model, propose("a", FAILED, message="no again"))
        assert model.names("a") == ["Running", "AwaitingRetry", "Retrying", "Failed"]

    def test_retries_that_are_spread_do_not_begin_together_and_a_replay_draws_nothing_new(
        self, model: World
    ) -> None:
        failures = []
        for name in "abcdefgh":
            one(model, start(name, retries=1, retry_delays=(60 * SECOND,), retry_jitter_factor=1.0))
            failures.append(propose(name, FAILED))
        began = {one(model, failure).state.scheduled_time for failure in failures}
        assert len(began) == len(failures)
        model.now += SECOND
        assert {one(model, failure).state.scheduled_time for failure in failures} == began

    def test_a_name_that_was_proposed_is_kept(self, model: World) -> None:
        one(model, start("a"))
        one(model, propose("a", COMPLETED, name="Splendid"))
        assert model.names("a") == ["Running", "Splendid"]


class TestReplays:
    def test_the_same_proposal_is_answered_the_same_and_changes_nothing(self, model: World) -> None:
        proposals = [
            start("a", retries=1),
            propose("a", FAILED),
            propose("a", CANCELLED),
            propose("a", RUNNING),
        ]
        first = [one(model, proposal) for proposal in proposals]
        assert [type(answer.decision) for answer in first] == [Accept, Reject, Accept, Abort]
        before = model.columns()
        for proposal, answer in zip(proposals, first, strict=True):
            again = one(model, proposal)
            assert (type(again.decision), again.state) == (type(answer.decision), answer.state)
        assert model.columns() == before

    def test_it_is_answered_the_same_within_one_turn(self, model: World) -> None:
        proposal = start("a")
        first, again = many(model, proposal, proposal)
        assert first == again
        assert model.names("a") == ["Running"]

    @pytest.mark.parametrize("apart", [True, False], ids=["in two turns", "in one turn"])
    def test_an_id_that_was_used_for_another_run_is_refused(self, model: World, apart: bool) -> None:
        first = start("a")
        second = start("b")._replace(id=first.id)
        outcome = [many(model, first), many(model, second)][1][0] if apart else many(model, first, second)[1]
        assert isinstance(outcome, Refusal)
        assert outcome.problem is Problem.PROPOSAL_CONFLICT
        assert "b" not in model.store.runs

    @pytest.mark.parametrize("apart", [True, False], ids=["in two turns", "in one turn"])
    @pytest.mark.parametrize("tags", [(), ("disk",)], ids=["that may run", "that has to wait"])
    def test_the_id_of_a_proposal_that_waits_is_refused_for_another_run(
        self, model: World, apart: bool, tags: tuple[str, ...]
    ) -> None:
        model.set_limit("disk", 1)
        one(model, start("holder", "disk"))
        first = start("a", "disk")
        second = start("b", *tags)._replace(id=first.id)
        outcome = [many(model, first), many(model, second)][1][0] if apart else many(model, first, second)[1]
        assert isinstance(outcome, Refusal)
        assert outcome.problem is Problem.PROPOSAL_CONFLICT
        one(model, propose("holder", COMPLETED))
        assert model.names("a") == ["Pending", "Running"]

    def test_a_proposal_that_waits_keeps_its_place_when_it_comes_again(self, model: World) -> None:
        model.set_limit("disk", 1)
        one(model, start("holder", "disk"))
        first, second = start("a", "disk"), start("b", "disk")
        many(model, first, second)
        again = one(model, first)
        assert again.queued
        assert [waiter.proposal.id for waiter in model.store.queue(Resource.of_tag("disk"))] == [
            first.id,
            second.id,
        ]


class TestHolders:
    def test_a_run_of_another_live_session_is_not_run_twice(self, model: World) -> None:
        model.open_session("other")
        one(model, start("a"))
        answer = one(model, propose("a", RUNNING, session_id="other"))
        assert isinstance(answer.decision, Abort)
        assert answer.decision.reason is AbortReason.HELD
        assert "client of session" in answer.decision.message

    def test_nor_by_a_caller_without_a_session(self, model: World) -> None:
        one(model, start("a"))
        answer = one(model, propose("a", RUNNING, session_id=""))
        assert isinstance(answer.decision, Abort)
        assert answer.decision.reason is AbortReason.HELD

    def test_a_run_of_nobody_is_taken_up_by_whoever_asks(self, model: World) -> None:
        one(model, start("a", session_id=""))
        assert one(model, propose("a", RUNNING)).decision == Accept()

    def test_a_run_whose_session_has_run_out_is_taken_up(self, model: World) -> None:
        one(model, start("a"))
        model.now = model.store.sessions["session"].expires
        model.open_session("other")
        assert one(model, propose("a", RUNNING, session_id="other")).decision == Accept()

    def test_anyone_may_cancel_it(self, model: World) -> None:
        model.open_session("other")
        one(model, start("a"))
        assert one(model, propose("a", CANCELLED, session_id="other")).decision == Accept()

    def test_its_slots_are_kept_when_it_runs_again(self, model: World) -> None:
        model.set_limit("disk", 1)
        one(model, start("a", "disk"))
        assert one(model, propose("a", RUNNING)).decision == Accept()
        assert model.slots() == [("disk", "a")]

    def test_even_when_the_limit_has_become_0(self, model: World) -> None:
        model.set_limit("disk", 1)
        one(model, start("a", "disk"))
        model.set_limit("disk", 0)
        assert one(model, propose("a", RUNNING)).decision == Accept()


class TestSessionsThatEnd:
    def test_its_runs_crash_and_its_slots_go_to_who_waits(self, model: World) -> None:
        model.open_session("other")
        model.set_limit("disk", 1)
        one(model, start("a", "disk"))
        one(model, start("b", "disk", session_id="other"))
        turn = model.end_session("session")
        assert [answer.run.id for answer in turn.woken] == ["b"]
        assert model.names("a") == ["Running", "Crashed"]
        assert model.slots() == [("disk", "b")]

    def test_its_waiters_leave(self, model: World) -> None:
        model.open_session("other")
        model.set_limit("disk", 1)
        one(model, start("a", "disk", session_id="other"))
        one(model, start("b", "disk"))
        model.end_session("session")
        one(model, propose("a", COMPLETED, session_id="other"))
        assert model.names("b") == ["Pending"]

    def test_a_proposal_under_it_is_refused(self, model: World) -> None:
        one(model, start("a", state=PENDING))
        model.end_session("session")
        outcome = many(model, propose("a", RUNNING))[0]
        assert isinstance(outcome, Refusal)
        assert outcome.problem is Problem.SESSION_EXPIRED
        assert model.names("a") == ["Pending"]

    def test_a_run_that_crashed_with_it_says_so_itself(self, model: World) -> None:
        one(model, start("a"))
        model.end_session("session")
        answer = one(model, propose("a", COMPLETED))
        assert isinstance(answer.decision, Abort)
        assert answer.state.message == "lost session"


class TestSlots:
    def test_both_tags_are_taken_or_none(self, model: World) -> None:
        model.set_limit("disk", 1)
        model.set_limit("net", 1)
        one(model, start("a", "net"))
        one(model, start("b", "disk", "net"))
        assert model.slots() == [("net", "a")]
        assert one(model, start("c", "disk")).decision == Accept()

    @pytest.mark.parametrize("end", [COMPLETED, FAILED, CANCELLED, CRASHED, PENDING])
    def test_leaving_running_frees_them(self, model: World, end: StateType) -> None:
        model.set_limit("disk", 1)
        one(model, start("a", "disk"))
        one(model, propose("a", end))
        assert not model.slots()

    def test_a_run_that_awaits_its_retry_holds_none(self, model: World) -> None:
        model.set_limit("disk", 1)
        one(model, start("a", "disk", retries=1))
        waiting = start("b", "disk")
        one(model, waiting)
        one(model, propose("a", FAILED))
        assert model.names("a") == ["Running", "AwaitingRetry"]
        assert model.slots() == [("disk", "b")]

    def test_the_slot_goes_to_who_came_first_even_within_one_turn(self, model: World) -> None:
        model.set_limit("disk", 1)
        one(model, start("a", "disk"))
        one(model, start("b", "disk"))
        _, late = many(model, propose("a", COMPLETED), start("c", "disk"))
        assert isinstance(late, Answer)
        assert late.queued
        assert model.slots() == [("disk", "b")]

    def test_a_run_that_waits_for_a_full_tag_holds_up_nobody_who_needs_only_free_ones(
        self, model: World
    ) -> None:
        model.set_limit("disk", 2)
        model.set_limit("net", 1)
        one(model, start("a", "net"))
        one(model, start("b", "disk", "net"))
        assert one(model, start("c", "disk")).decision == Accept()

    def test_a_new_limit_counts_those_that_run(self, model: World) -> None:
        one(model, start("a", "disk"))
        model.set_limit("disk", 1)
        assert one(model, start("b", "disk")).queued

    def test_raising_a_limit_lets_as_many_go(self, model: World) -> None:
        model.set_limit("disk", 1)
        many(model, *(start(id_, "disk") for id_ in "abcd"))
        turn = model.set_limit("disk", 3)
        assert [answer.run.id for answer in turn.woken] == ["b", "c"]

    def test_lowering_it_lets_nobody_go_until_enough_have_left(self, model: World) -> None:
        model.set_limit("disk", 2)
        many(model, *(start(id_, "disk") for id_ in "abc"))
        model.set_limit("disk", 1)
        one(model, propose("a", COMPLETED))
        assert model.names("c") == ["Pending"]
        one(model, propose("b", COMPLETED))
        assert model.names("c") == ["Pending", "Running"]

    def test_deleting_it_lets_all_go(self, model: World) -> None:
        model.set_limit("disk", 1)
        many(model, *(start(id_, "disk") for id_ in "abcd"))
        turn = model.delete_limit("disk")
        assert [answer.run.id for answer in turn.woken] == ["b", "c", "d"]
        assert not model.slots()

    def test_0_aborts_who_waits_and_leaves_who_runs(self, model: World) -> None:
        model.set_limit("disk", 1)
        many(model, *(start(id_, "disk") for id_ in "abc"))
        turn = model.set_limit("disk", 0)
        assert [(answer.run.id, type(answer.decision)) for answer in turn.woken] == [
            ("b", Abort),
            ("c", Abort),
        ]
        assert model.names("a") == ["Running"]

    def test_0_aborts_who_waits_for_another_tag_as_well(self, model: World) -> None:
        model.set_limit("disk", 1)
        model.set_limit("net", 1)
        one(model, start("a", "net"))
        one(model, start("b", "disk", "net"))
        turn = model.set_limit("disk", 0)
        assert [(answer.run.id, type(answer.decision)) for answer in turn.woken] == [("b", Abort)]

    def test_a_run_that_tracks_a_subflow_takes_none(self, model: World) -> None:
        model.set_limit("disk", 1)
        one(model, start("a", "disk"))
        assert one(model, start("b", "disk", tracks_subflow=True)).decision == Accept()
        assert model.slots() == [("disk", "a")]


class TestWhoWaits:
    @pytest.fixture
    def busy(self, model: World) -> World:
        model.set_limit("disk", 1)
        one(model, start("holder", "disk"))
        return model

    def test_a_run_that_was_cancelled_leaves_the_queue(self, busy: World) -> None:
        waiting = start("a", "disk")
        one(busy, waiting)
        turn = busy.turn([propose("a", CANCELLED)])
        assert [(answer.proposal_id, type(answer.decision)) for answer in turn.woken] == [(waiting.id, Abort)]
        assert not busy.store.waiters

    def test_a_run_that_was_put_off_is_told_to_come_again_and_holds_up_nobody(self, busy: World) -> None:
        first, second = start("a", "disk"), start("b", "disk")
        many(busy, first, second)
        put_off = propose("a", SCHEDULED, scheduled_time=busy.now + 60 * SECOND)
        turn = busy.turn([put_off])
        assert [answer.proposal_id for answer in turn.woken] == [first.id]
        assert turn.woken[0].decision == Wait(60 * SECOND, "the run is Scheduled for a later time")
        assert not turn.woken[0].queued
        one(busy, propose("holder", COMPLETED))
        assert busy.slots() == [("disk", "b")]

    def test_a_result_that_others_cached_meanwhile_is_used_and_the_slot_goes_on(self, busy: World) -> None:
        one(busy, start("a", "disk", cache_key="key"))
        one(busy, start("b", "disk"))
        one(busy, start("other"))
        one(busy, propose("other", COMPLETED, cache_key="key", data=b"42"))
        one(busy, propose("holder", COMPLETED))
        assert busy.names("a") == ["Pending", "Cached"]
        assert busy.state("a").data == b"42"
        assert busy.slots() == [("disk", "b")]

    def test_a_second_proposal_for_the_run_goes_when_the_first_has_its_slot(self, busy: World) -> None:
        many(busy, start("a", "disk"), propose("a", RUNNING))
        one(busy, propose("holder", COMPLETED))
        assert not busy.store.waiters
        assert busy.names("a") == ["Pending", "Running", "Rerunning"]

    def test_one_that_is_away_holds_up_nobody(self, busy: World) -> None:
        away = start("a", "disk", session_id="", queues=False, keeps=60 * SECOND)
        answer = one(busy, away)
        assert not answer.queued
        one(busy, start("b", "disk"))
        one(busy, propose("holder", COMPLETED))
        assert busy.slots() == [("disk", "b")]

    def test_one_that_was_away_has_its_old_place(self, busy: World) -> None:
        away = start("a", "disk", session_id="", queues=False, keeps=60 * SECOND)
        one(busy, away)
        one(busy, start("b", "disk"))
        many(busy, away._replace(queues=True))
        one(busy, propose("holder", COMPLETED))
        assert busy.slots() == [("disk", "a")]

    def test_one_that_is_away_is_not_run_because_another_proposal_runs_it(self, busy: World) -> None:
        one(busy, start("a", "disk", session_id="", queues=False, keeps=60 * SECOND))
        one(busy, propose("holder", COMPLETED))
        one(busy, propose("a", RUNNING, session_id="", queues=False))
        assert busy.names("a") == ["Pending", "Running"]


class TestCache:
    def test_a_hit_is_completed_with_the_data_and_takes_no_slot(self, model: World) -> None:
        one(model, start("a"))
        one(model, propose("a", COMPLETED, cache_key="key", data=b"42"))
        model.set_limit("disk", 0)
        answer = one(model, start("b", "disk", cache_key="key"))
        assert isinstance(answer.decision, Reject)
        assert model.names("b") == ["Cached"]
        assert model.state("b").data == b"42"

    def test_within_one_turn_too(self, model: World) -> None:
        many(model, start("a"), propose("a", COMPLETED, cache_key="key"), start("b", cache_key="key"))
        assert model.names("b") == ["Cached"]

    def test_a_hit_does_not_write_the_entry_anew(self, model: World) -> None:
        one(model, start("a"))
        one(model, propose("a", COMPLETED, cache_key="key", cache_expiration=SECOND))
        one(model, start("b", cache_key="key"))
        assert model.store.cache["key"].task_run_id == "a"

    @pytest.mark.parametrize(("after", "name"), [(SECOND - 1, "Cached"), (SECOND, "Running")])
    def test_an_entry_is_served_until_it_expires(self, model: World, after: int, name: str) -> None:
        one(model, start("a"))
        one(model, propose("a", COMPLETED, cache_key="key", cache_expiration=SECOND))
        model.now += after
        one(model, start("b", cache_key="key"))
        assert model.names("b") == [name]

    @pytest.mark.parametrize("end", [FAILED, CANCELLED, CRASHED])
    def test_only_a_completed_run_writes_one(self, model: World, end: StateType) -> None:
        one(model, start("a"))
        one(model, propose("a", end, cache_key="key"))
        assert not model.store.cache


class TestSubflows:
    @pytest.fixture
    def nested(self, model: World) -> World:
        one(model, start("tracking", "disk", state=PENDING, tracks_subflow=True))
        model.create(FLOW._replace(id="child", parent_task_run_id="tracking", retries=1))
        return model

    def step(self, model: World, type_: StateType, **more: Any) -> None:
        one(model, propose("child", type_, **more)._replace(kind=RunKind.FLOW))

    def test_the_tracking_run_follows(self, nested: World) -> None:
        nested.set_limit("disk", 0)
        for type_ in (RUNNING, FAILED, RUNNING, COMPLETED):
            self.step(nested, type_, data=b"42")
        assert nested.names("child") == ["Pending", "Running", "AwaitingRetry", "Retrying", "Completed"]
        assert nested.names("tracking") == nested.names("child")
        assert nested.state("tracking").data == b"42"
        assert not nested.slots()

    def test_a_tracking_run_that_has_ended_stays_so(self, nested: World) -> None:
        one(nested, propose("tracking", CANCELLED))
        self.step(nested, RUNNING)
        assert nested.names("tracking") == ["Pending", "Cancelled"]

    def test_a_subflow_whose_session_ends_takes_the_tracking_run_along(self, nested: World) -> None:
        self.step(nested, RUNNING)
        nested.end_session("session")
        assert nested.names("tracking") == ["Pending", "Running", "Crashed"]

    def test_a_run_that_tracks_no_subflow_is_not_made_to_follow_past_its_limit(self, model: World) -> None:
        model.set_limit("disk", 1)
        many(model, start("a", "disk"), start("b", "disk", state=PENDING))
        model.create(FLOW._replace(id="child", parent_task_run_id="b"))
        self.step(model, RUNNING)
        assert model.slots() == [("disk", "a")]


class TestColumns:
    def test_times_and_counts_of_a_run_with_a_retry(self, model: World) -> None:
        begin = model.now
        one(model, start("a", retries=1, retry_delays=(2 * SECOND,)))
        model.now += 3 * SECOND
        one(model, propose("a", FAILED))
        model.now += 2 * SECOND
        one(model, propose("a", RUNNING))
        model.now += 4 * SECOND
        one(model, propose("a", COMPLETED))
        progress = model.store.runs["a"].progress
        assert progress.created == progress.start_time == begin
        assert progress.expected_start_time == begin + 5 * SECOND
        assert progress.end_time == begin + 9 * SECOND
        assert progress.total_run_time == 7 * SECOND
        assert progress.run_count == 2
        assert progress.ordinal == 4
        assert not progress.session_id

    @pytest.mark.parametrize("hours", [-3, 3], ids=["back", "forward"])
    def test_time_spent_is_right_where_the_wall_clock_was_set_meanwhile(
        self, model: World, hours: int
    ) -> None:
        model.ahead = 5 * SECOND
        one(model, start("a", retries=1, retry_delays=(2 * SECOND,)))
        model.now += 3 * SECOND
        model.ahead += hours * 3600 * SECOND
        failed = one(model, propose("a", FAILED)).state
        assert failed.timestamp == model.moment.now
        assert failed.scheduled_time == failed.timestamp + 2 * SECOND
        model.ahead -= 2 * hours * 3600 * SECOND
        model.now += 2 * SECOND
        one(model, propose("a", RUNNING))
        model.now += 4 * SECOND
        one(model, propose("a", COMPLETED))
        progress = model.store.runs["a"].progress
        assert progress.total_run_time == 7 * SECOND
        assert progress.end_time == model.moment.now

    def test_the_run_that_tracks_a_subflow_waits_no_longer_than_it(self, model: World) -> None:
        model.create(TASK._replace(id="tracking", tracks_subflow=True))
        child = FLOW._replace(id="child", parent_task_run_id="tracking", retries=1, retry_delay=9 * SECOND)
        model.create(child)
        for type_ in (RUNNING, FAILED):
            one(model, propose("child", type_)._replace(kind=RunKind.FLOW))
        model.ahead -= 3 * 3600 * SECOND
        runs = model.store.runs
        assert runs["child"].progress.wait_left(model.moment) == 9 * SECOND
        assert runs["tracking"].progress.wait_left(model.moment) == 9 * SECOND

    def test_a_clock_that_went_back_takes_no_time_away(self, model: World) -> None:
        one(model, start("a"))
        model.now -= SECOND
        one(model, propose("a", COMPLETED))
        progress = model.store.runs["a"].progress
        assert progress.total_run_time == 0
