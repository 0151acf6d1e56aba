"""Each rule on its own, over all transitions and at its edges. What is expected is written out by hand."""

from __future__ import annotations

from typing import Any

import pytest

from clearway_service.core.decisions import Abort, AbortReason, Reject, Wait, WaitReason
from clearway_service.core.facts import Facts, LimitFacts
from clearway_service.core.moment import Moment
from clearway_service.core.rules import (
    FLOW_POLICY,
    TASK_POLICY,
    await_scheduled_time,
    decide,
    keep_one_holder,
    keep_terminal,
    retry_failed,
    secure_slots,
    use_cache,
)
from clearway_service.core.states import ProposedState, StateType
from support.facts import (
    FLOW,
    NOW,
    SECOND,
    STEADY,
    TASK,
    answer_name,
    facts,
    progress,
    retrying,
    state,
    transition_id,
    transitions,
)

SCHEDULED, PENDING, RUNNING, COMPLETED, FAILED, CANCELLED, CRASHED = StateType

# In each grid the columns are: scheduled pending running completed failed cancelled crashed.


def grid(text: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("before", "to", "expected"), transitions(text), ids=transition_id)


def limit(tag: str = "disk", slots: int = 1, **more: Any) -> LimitFacts:
    return LimitFacts(tag, slots, **({"taken": 0, "held": False, "queued": 0} | more))


class TestKeepTerminal:
    @grid("""
        new       . . . . . . .
        scheduled . . . . . . .
        pending   . . . . . . .
        running   . . . . . . .
        completed x x x x x x x
        failed    x x x x x x x
        cancelled x x x x x x x
        crashed   x x x x x x x
    """)
    def test_a_terminal_run_never_leaves_its_state(
        self, before: StateType | None, to: StateType, expected: str
    ) -> None:
        assert answer_name(keep_terminal(facts(before, to))) == expected

    def test_it_says_that_the_run_has_ended_and_how(self) -> None:
        decision = keep_terminal(facts(progress(CRASHED, name="Lost"), RUNNING))
        assert isinstance(decision, Abort)
        assert decision.reason is AbortReason.TERMINAL
        assert "Lost" in decision.message


class TestKeepOneHolder:
    @grid("""
        new       . . x . . . .
        scheduled . . x . . . .
        pending   . . x . . . .
        running   . . x . . . .
        completed . . x . . . .
        failed    . . x . . . .
        cancelled . . x . . . .
        crashed   . . x . . . .
    """)
    def test_only_running_is_kept_from_a_run_that_another_holds(
        self, before: StateType | None, to: StateType, expected: str
    ) -> None:
        assert answer_name(keep_one_holder(facts(before, to, holder="worker 7"))) == expected

    def test_a_run_that_nobody_else_holds_may_run_again(self) -> None:
        assert keep_one_holder(facts(RUNNING, RUNNING)) is None

    def test_it_names_the_holder(self) -> None:
        decision = keep_one_holder(facts(RUNNING, RUNNING, holder="worker 7"))
        assert isinstance(decision, Abort)
        assert decision.reason is AbortReason.HELD
        assert "worker 7" in decision.message


class TestAwaitScheduledTime:
    @grid("""
        new       . . . . . . .
        scheduled . w w . . . .
        pending   . . . . . . .
        running   . . . . . . .
        completed . . . . . . .
        failed    . . . . . . .
        cancelled . . . . . . .
        crashed   . . . . . . .
    """)
    def test_before_its_time_a_scheduled_run_may_do_anything_but_begin(
        self, before: StateType | None, to: StateType, expected: str
    ) -> None:
        later = NOW + SECOND
        present = None if before is None else progress(before, scheduled_time=later)
        assert answer_name(await_scheduled_time(facts(present, to))) == expected

    def test_it_waits_for_the_rest_of_the_time(self) -> None:
        decision = await_scheduled_time(facts(progress(SCHEDULED, scheduled_time=NOW + 7 * SECOND), RUNNING))
        assert isinstance(decision, Wait)
        assert decision.retry_after == 7 * SECOND
        assert decision.blocking_tags == ()

    @pytest.mark.parametrize("hours", [-3, 0, 3], ids=["set back", "as it was", "set forward"])
    def test_a_delay_of_the_service_lasts_as_long_however_the_wall_clock_was_set(self, hours: int) -> None:
        begins = NOW + 7 * SECOND
        retried = progress(SCHEDULED, scheduled_time=begins)._replace(due=STEADY + 7 * SECOND)
        moment = Moment(NOW + hours * 3600 * SECOND + 2 * SECOND, STEADY + 2 * SECOND)
        decision = await_scheduled_time(facts(retried, RUNNING, moment=moment))
        assert isinstance(decision, Wait)
        assert decision.retry_after == 5 * SECOND
        over = moment._replace(steady=STEADY + 7 * SECOND)
        assert await_scheduled_time(facts(retried, RUNNING, moment=over)) is None

    @pytest.mark.parametrize(("hours", "left"), [(-3, 3 * 3600 + 5), (3, None)], ids=["back", "forward"])
    def test_a_time_of_the_calendar_follows_the_wall_clock(self, hours: int, left: int | None) -> None:
        scheduled = progress(SCHEDULED, scheduled_time=NOW + 7 * SECOND)
        moment = Moment(NOW + hours * 3600 * SECOND + 2 * SECOND, STEADY + 2 * SECOND)
        decision = await_scheduled_time(facts(scheduled, RUNNING, moment=moment))
        assert (decision.retry_after if isinstance(decision, Wait) else None) == (left and left * SECOND)

    @pytest.mark.parametrize(
        ("begins", "expected"), [(NOW - 1, "nothing"), (NOW, "nothing"), (NOW + 1, "wait")]
    )
    def test_it_may_begin_at_its_very_time(self, begins: int, expected: str) -> None:
        present = progress(SCHEDULED, scheduled_time=begins)
        assert answer_name(await_scheduled_time(facts(present, RUNNING))) == expected


class TestUseCache:
    @grid("""
        new       . . r . . . .
        scheduled . . r . . . .
        pending   . . r . . . .
        running   . . r . . . .
        completed . . r . . . .
        failed    . . r . . . .
        cancelled . . r . . . .
        crashed   . . r . . . .
    """)
    def test_only_running_is_looked_up(self, before: StateType | None, to: StateType, expected: str) -> None:
        cached = state(COMPLETED, data=b"42", cache_key="key")
        assert answer_name(use_cache(facts(before, to, cached=cached))) == expected

    def test_a_run_that_refreshes_the_cache_is_not_served_from_it(self) -> None:
        asked = ProposedState(RUNNING, cache_key="key", refresh_cache=True)
        assert use_cache(facts(PENDING, asked, cached=state(COMPLETED, data=b"42"))) is None

    def test_without_an_entry_the_run_goes_on(self) -> None:
        assert use_cache(facts(PENDING, ProposedState(RUNNING, cache_key="key"))) is None

    def test_the_run_is_completed_with_the_cached_data(self) -> None:
        cached = state(COMPLETED, data=b"42", message="well done", cache_key="key", cache_expiration=SECOND)
        decision = use_cache(facts(PENDING, ProposedState(RUNNING, cache_key="key"), cached=cached))
        assert isinstance(decision, Reject)
        assert decision.state == ProposedState(
            COMPLETED, "Cached", "well done", data=b"42", cache_key="key", cache_expiration=None
        )


class TestSecureSlots:
    @grid("""
        new       . . w . . . .
        scheduled . . w . . . .
        pending   . . w . . . .
        running   . . w . . . .
        completed . . w . . . .
        failed    . . w . . . .
        cancelled . . w . . . .
        crashed   . . w . . . .
    """)
    def test_only_running_needs_a_slot(self, before: StateType | None, to: StateType, expected: str) -> None:
        assert answer_name(secure_slots(facts(before, to, limits=(limit(taken=1),)))) == expected

    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            ((), "nothing"),
            ((limit(slots=1, taken=0),), "nothing"),
            ((limit(slots=2, taken=1),), "nothing"),
            ((limit(slots=2, taken=2),), "wait"),
            ((limit(slots=2, taken=5),), "wait"),
            ((limit(slots=2, taken=2, held=True),), "nothing"),
            ((limit(slots=2, taken=5, held=True),), "nothing"),
            ((limit(slots=2, taken=0, queued=1),), "wait"),
            ((limit(slots=2, taken=0, held=True, queued=1),), "nothing"),
            ((limit(slots=0, taken=0),), "abort"),
            ((limit(slots=0, taken=1),), "abort"),
            ((limit(slots=0, taken=1, held=True),), "nothing"),
            ((limit("a", 1), limit("b", 1, taken=1)), "wait"),
            ((limit("a", 1), limit("b", 1)), "nothing"),
            ((limit("a", 1, taken=1), limit("b", 0)), "abort"),
            ((limit("a", 1, held=True, taken=1), limit("b", 1, taken=1)), "wait"),
            ((limit("a", 1, held=True, taken=1), limit("b", 0)), "abort"),
        ],
    )
    def test_it_needs_a_free_slot_of_every_limited_tag_that_it_does_not_hold(
        self, given: tuple[LimitFacts, ...], expected: str
    ) -> None:
        assert answer_name(secure_slots(facts(PENDING, RUNNING, limits=given))) == expected

    def test_it_names_the_tags_that_are_full_and_no_others(self) -> None:
        limits = (limit("a", taken=1), limit("b"), limit("c", taken=1), limit("d", taken=1, held=True))
        decision = secure_slots(facts(PENDING, RUNNING, limits=limits))
        assert isinstance(decision, Wait)
        assert decision.blocking_tags == ("a", "c")
        assert decision.retry_after is None
        assert "'a'" in decision.message
        assert "'c'" in decision.message

    def test_a_limit_of_0_is_named(self) -> None:
        limits = (limit("a", taken=1), limit("closed", 0))
        decision = secure_slots(facts(PENDING, RUNNING, limits=limits))
        assert isinstance(decision, Abort)
        assert decision.reason is AbortReason.LIMIT_ZERO
        assert "'closed'" in decision.message
        assert "'a'" not in decision.message


class TestRetryFailed:
    @grid("""
        new       . . . . . . .
        scheduled . . . . . . .
        pending   . . . . . . .
        running   . . . . r . .
        completed . . . . . . .
        failed    . . . . . . .
        cancelled . . . . . . .
        crashed   . . . . . . .
    """)
    def test_only_a_running_run_that_failed_is_tried_again(
        self, before: StateType | None, to: StateType, expected: str
    ) -> None:
        run = TASK._replace(retry_policy=retrying(3))
        assert answer_name(retry_failed(facts(before, to, run=run))) == expected

    @pytest.mark.parametrize(
        ("retries", "run_count", "expected"),
        [
            (0, 1, "nothing"),
            (1, 1, "reject"),
            (1, 2, "nothing"),
            (3, 1, "reject"),
            (3, 3, "reject"),
            (3, 4, "nothing"),
            (3, 5, "nothing"),
        ],
    )
    @pytest.mark.parametrize("run", [TASK, FLOW], ids=["task", "flow"])
    def test_it_is_tried_again_as_often_as_it_was_said(
        self, run: Any, retries: int, run_count: int, expected: str
    ) -> None:
        present = progress(RUNNING, run_count=run_count)
        given = facts(present, FAILED, run=run._replace(retry_policy=retrying(retries)))
        assert answer_name(retry_failed(given)) == expected

    @pytest.mark.parametrize("run", [TASK, FLOW], ids=["task", "flow"])
    def test_a_run_that_declines_its_retries_is_failed(self, run: Any) -> None:
        declined = ProposedState(FAILED, no_retry=True)
        assert retry_failed(facts(RUNNING, declined, run=run._replace(retry_policy=retrying(5)))) is None

    @pytest.mark.parametrize(("run_count", "seconds"), [(1, 1), (2, 5), (3, 20), (4, 20), (9, 20)])
    def test_each_retry_has_its_own_delay_and_the_last_delay_holds_on(
        self, run_count: int, seconds: int
    ) -> None:
        run = TASK._replace(retry_policy=retrying(9, 1 * SECOND, 5 * SECOND, 20 * SECOND))
        decision = retry_failed(facts(progress(RUNNING, run_count=run_count), FAILED, run=run))
        assert isinstance(decision, Reject)
        assert decision.state.scheduled_time == NOW + seconds * SECOND

    @pytest.mark.parametrize(("draw", "least", "most"), [(0.0, 0.6, 0.7), (0.999, 1.49, 1.5)])
    def test_a_delay_is_spread_by_what_was_drawn(self, draw: float, least: float, most: float) -> None:
        run = TASK._replace(retry_policy=retrying(1, SECOND, jitter_factor=0.5))
        decision = retry_failed(facts(RUNNING, FAILED, run=run, draw=draw))
        assert isinstance(decision, Reject)
        assert decision.state.scheduled_time is not None
        assert least <= (decision.state.scheduled_time - NOW) / SECOND <= most

    def test_it_is_scheduled_for_now_and_its_delay_with_what_was_said_of_the_failure(self) -> None:
        failed = ProposedState(FAILED, message="disk on fire", data=b"traceback")
        run = TASK._replace(retry_policy=retrying(1, 9 * SECOND))
        decision = retry_failed(facts(RUNNING, failed, run=run))
        assert isinstance(decision, Reject)
        assert decision.state == ProposedState(
            SCHEDULED,
            "AwaitingRetry",
            "disk on fire",
            data=b"traceback",
            scheduled_time=NOW + 9 * SECOND,
            due=STEADY + 9 * SECOND,
        )


def decided(before: StateType | None, to: StateType, **more: Any) -> str:
    """Return the answer to a run whose time, if it is Scheduled, is later, and that has a retry left."""
    policy = more.pop("policy", TASK_POLICY)
    present = None if before is None else progress(before)
    if before is SCHEDULED:
        present = progress(SCHEDULED, scheduled_time=NOW + SECOND)
    return answer_name(
        decide(policy, facts(present, to, **({"run": TASK._replace(retry_policy=retrying(1))} | more)))
    )


class TestPolicies:
    @pytest.mark.parametrize("policy", ["task", "flow"])
    @grid("""
        new       a a a a a a a
        scheduled a a a a a a a
        pending   a a a a a a a
        running   a a a a a a a
        completed x x x x x x x
        failed    x x x x x x x
        cancelled x x x x x x x
        crashed   x x x x x x x
    """)
    def test_where_nothing_stands_in_the_way_all_but_leaving_the_end_is_accepted(
        self, policy: str, before: StateType | None, to: StateType, expected: str
    ) -> None:
        given = facts(before, to, run=TASK if policy == "task" else FLOW)
        rules = TASK_POLICY if policy == "task" else FLOW_POLICY
        assert answer_name(decide(rules, given)) == expected

    @grid("""
        new       a a r a a a a
        scheduled a w w a a a a
        pending   a a r a a a a
        running   a a r a r a a
        completed x x x x x x x
        failed    x x x x x x x
        cancelled x x x x x x x
        crashed   x x x x x x x
    """)
    def test_a_task_run_with_a_later_time_a_cached_result_a_full_tag_and_retries(
        self, before: StateType | None, to: StateType, expected: str
    ) -> None:
        assert decided(before, to, cached=state(COMPLETED), limits=(limit(taken=1),)) == expected

    @grid("""
        new       a a w a a a a
        scheduled a w w a a a a
        pending   a a w a a a a
        running   a a w a r a a
        completed x x x x x x x
        failed    x x x x x x x
        cancelled x x x x x x x
        crashed   x x x x x x x
    """)
    def test_a_task_run_with_a_later_time_a_full_tag_and_retries(
        self, before: StateType | None, to: StateType, expected: str
    ) -> None:
        assert decided(before, to, limits=(limit(taken=1),)) == expected

    @grid("""
        new       a a x a a a a
        scheduled a w x a a a a
        pending   a a x a a a a
        running   a a x a r a a
        completed x x x x x x x
        failed    x x x x x x x
        cancelled x x x x x x x
        crashed   x x x x x x x
    """)
    def test_a_task_run_that_another_holds(
        self, before: StateType | None, to: StateType, expected: str
    ) -> None:
        more = {"holder": "worker 7", "cached": state(COMPLETED), "limits": (limit(taken=1),)}
        assert decided(before, to, **more) == expected

    @grid("""
        new       a a a a a a a
        scheduled a w w a a a a
        pending   a a a a a a a
        running   a a a a r a a
        completed x x x x x x x
        failed    x x x x x x x
        cancelled x x x x x x x
        crashed   x x x x x x x
    """)
    def test_a_flow_run_knows_neither_cache_nor_slots(
        self, before: StateType | None, to: StateType, expected: str
    ) -> None:
        more = {"cached": state(COMPLETED), "limits": (limit(taken=1), limit("closed", 0))}
        assert (
            decided(before, to, policy=FLOW_POLICY, run=FLOW._replace(retry_policy=retrying(1)), **more)
            == expected
        )

    def test_a_flow_run_that_another_holds_is_not_run_twice(self) -> None:
        assert decided(RUNNING, RUNNING, policy=FLOW_POLICY, run=FLOW, holder="worker 7") == "abort"

    def test_a_hit_needs_no_slot_even_of_a_tag_whose_limit_is_0(self) -> None:
        assert decided(PENDING, RUNNING, cached=state(COMPLETED), limits=(limit(slots=0),)) == "reject"

    def test_deciding_asks_the_rules_in_their_order(self) -> None:
        asked: list[str] = []

        def silent(_facts: Facts) -> None:
            asked.append("silent")

        def first(_facts: Facts) -> Wait:
            asked.append("first")
            return Wait(WaitReason.LIMIT, 1, "first")

        def second(_facts: Facts) -> Wait:
            raise AssertionError("the first answer is the decision")

        assert decide((silent, first, second), facts(PENDING, RUNNING)) == Wait(WaitReason.LIMIT, 1, "first")
        assert asked == ["silent", "first"]
