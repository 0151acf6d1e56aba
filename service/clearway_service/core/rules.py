"""The rules, in the order in which they are applied; the first one to return a decision wins."""

from __future__ import annotations

from collections.abc import Callable

from clearway_service.core.decisions import (
    Abort,
    AbortReason,
    Accept,
    Ancestor,
    Decision,
    Reject,
    RejectReason,
    Wait,
    WaitReason,
)
from clearway_service.core.facts import Facts
from clearway_service.core.retries import retry_delay
from clearway_service.core.states import AWAITING_RETRY, CACHED, TERMINAL, ProposedState, StateType
from clearway_service.texts import plain

Rule = Callable[[Facts], Decision | None]

_NAMED_ANCESTORS = 3


def keep_terminal(facts: Facts) -> Decision | None:
    """A terminal run never leaves its state."""
    if facts.progress is None or facts.progress.state.type not in TERMINAL:
        return None
    return Abort(AbortReason.TERMINAL, f"the run has ended: it is {plain(facts.progress.state.name)}")


def keep_one_holder(facts: Facts) -> Decision | None:
    """A run that a client with another live session is running is not started a second time."""
    if facts.proposed.type != StateType.RUNNING or not facts.holder:
        return None
    return Abort(AbortReason.HELD, f"the run is Running elsewhere: {plain(facts.holder)} holds it")


def await_scheduled_time(facts: Facts) -> Decision | None:
    """A scheduled run does not start before its time. Cancelling it is never delayed.

    A retry's delay is measured by the steady clock, so setting the wall clock does not change it. A time
    that a client gave is a calendar time, and follows the wall clock.
    """
    if facts.progress is None or facts.progress.state.type != StateType.SCHEDULED:
        return None
    if facts.proposed.type not in (StateType.PENDING, StateType.RUNNING):
        return None
    left = facts.progress.wait_left(facts.moment)
    if not left:
        return None
    return Wait(WaitReason.SCHEDULE, left, f"the run is {plain(facts.progress.state.name)} for a later time")


def use_cache(facts: Facts) -> Decision | None:
    """A run whose key has a live cache entry completes with the cached data instead of running.

    This rule comes before slots are taken, so a hit needs none.
    """
    if facts.proposed.type != StateType.RUNNING or facts.cached is None or facts.proposed.refresh_cache:
        return None
    state = ProposedState(
        type=StateType.COMPLETED,
        name=CACHED,
        message=facts.cached.message,
        data=facts.cached.data,
        cache_key=facts.proposed.cache_key,
    )
    return Reject(RejectReason.CACHED, state, "a completed run with the same cache key has the result")


def follow_leader(facts: Facts) -> Decision | None:
    """A run that asks for single flight waits while another run computes its cache key.

    This rule comes before slots are taken, so the waiting run holds none. Only a Running run can be the
    leader, never one that waits for slots: a key and the slots are taken together or not at all, so no run
    waits for a leader that itself waits for a slot.
    """
    flight = facts.flight
    if flight is None or flight.held or (flight.free and not facts.unwanted):
        return None
    message = "another run is computing the result of the same cache key"
    return Wait(WaitReason.CACHE_LEADER, None, message, cache_key=facts.proposed.cache_key)


def secure_slots(facts: Facts) -> Decision | None:
    """Entering Running takes a slot of every tag that has a limit: all of them or none.

    A withdrawn proposal gets no slot.
    """
    if facts.proposed.type != StateType.RUNNING:
        return None
    wanted = [limit for limit in facts.limits if not limit.held]
    if closed := [limit.tag for limit in wanted if limit.limit == 0]:
        return Abort(AbortReason.LIMIT_ZERO, f"the concurrency limit of {_tags(closed)} is 0")
    full = [limit for limit in wanted if facts.unwanted or not limit.free]
    if not full:
        return None
    tags = [limit.tag for limit in full]
    ancestors = tuple(ancestor for limit in full for ancestor in limit.ancestors)
    message = f"no free slot for {_tags(tags)}{_entangled(ancestors)}"
    return Wait(WaitReason.LIMIT, None, message, tuple(tags), ancestors)


def retry_failed(facts: Facts) -> Decision | None:
    """A run that failed with retries left, and does not decline them, is scheduled for another attempt."""
    if facts.proposed.type != StateType.FAILED or facts.proposed.no_retry or facts.progress is None:
        return None
    policy, attempt = facts.run.retry_policy, facts.progress.run_count
    if facts.progress.state.type != StateType.RUNNING or attempt >= policy.max_attempts:
        return None
    delay = retry_delay(policy, attempt, facts.draw)
    state = ProposedState(
        type=StateType.SCHEDULED,
        name=AWAITING_RETRY,
        message=facts.proposed.message,
        data=facts.proposed.data,
        scheduled_time=facts.moment.now + delay,
        due=facts.moment.steady + delay,
    )
    message = f"retry {attempt} of {policy.max_attempts - 1} is scheduled"
    return Reject(RejectReason.RETRY_SCHEDULED, state, message)


TASK_POLICY: tuple[Rule, ...] = (
    keep_terminal,
    keep_one_holder,
    await_scheduled_time,
    use_cache,
    follow_leader,
    secure_slots,
    retry_failed,
)

FLOW_POLICY: tuple[Rule, ...] = (
    keep_terminal,
    keep_one_holder,
    await_scheduled_time,
    retry_failed,
)

_ACCEPT = Accept()


def decide(policy: tuple[Rule, ...], facts: Facts) -> Decision:
    """Return the first decision of the rules in ``policy``, or Accept if none returns one."""
    for rule in policy:
        decision = rule(facts)
        if decision is not None:
            return decision
    return _ACCEPT


def _tags(tags: list[str]) -> str:
    return ("tag " if len(tags) == 1 else "tags ") + ", ".join(f"'{plain(tag)}'" for tag in tags)


def _entangled(ancestors: tuple[Ancestor, ...]) -> str:
    """Return the part of a wait's message about ancestors that hold slots; empty if there are none."""
    told = "".join(
        f"; a slot of tag '{plain(each.held.name)}' is held by its own ancestor {plain(each.name)}"
        for each in ancestors[:_NAMED_ANCESTORS]
    )
    more = len(ancestors) - _NAMED_ANCESTORS
    rest = f" and {more} more" if more > 0 else ""
    return f"{told}{rest}, whose code waits for this run" if told else ""
