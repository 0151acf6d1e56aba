"""How much clients may have under way, each and all together."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from clearway_service.engine.budget import LEAST_BYTES, Budget, Caller

MIB = 1024 * 1024
TOTAL, EACH = 64 * MIB, 16 * MIB


def fill(caller: Caller, message: int = MIB) -> int:
    """Let a client say as much as it may, in messages of this size; return how many bytes that were."""
    said = 0
    while caller.may_read():
        caller.take_in(message)
        said += message
    return said


def test_a_client_has_half_of_its_bytes_for_requests_and_half_for_decisions() -> None:
    caller = Budget(TOTAL, EACH).caller()
    assert fill(caller) == EACH // 2
    assert caller.room() == EACH // 2
    caller.owe(EACH // 2)
    assert caller.room() == 0
    caller.settle(EACH // 2)
    assert not caller.may_read(), "it has yet to take its decisions"
    caller.sent(EACH // 2)
    assert caller.may_read()


def test_many_large_clients_share_the_total_and_leave_as_much_for_one_more() -> None:
    budget, message = Budget(TOTAL, EACH), MIB // 16
    callers = [budget.caller() for _ in range(30)]
    while any(caller.may_read() for caller in callers):
        for caller in callers:
            if caller.may_read():
                caller.take_in(message)
    shares = [caller.requests for caller in callers]
    assert max(shares) - min(shares) <= message
    assert TOTAL * 3 // 4 < budget.used < TOTAL
    assert fill(budget.caller(), message) >= shares[0] // 2


def test_a_small_client_is_served_although_others_have_used_up_the_total() -> None:
    budget = Budget(TOTAL, EACH)
    budget.caller().take_in(2 * TOTAL)
    small = budget.caller()
    assert fill(small, 1024) == LEAST_BYTES
    assert small.room() == LEAST_BYTES


def test_who_is_held_back_is_called_once_when_another_leaves_room() -> None:
    budget = Budget(TOTAL, EACH)
    others = [budget.caller() for _ in range(8)]
    for other in others:
        other.take_in(TOTAL // 8)
    held = budget.caller()
    held.take_in(MIB)
    called: list[str] = []
    assert not held.when_readable(lambda: called.append("readable"))
    others[0].settle(MIB)
    assert not called, "not enough"
    for other in others:
        other.settle(TOTAL // 8 - MIB)
    assert called == ["readable"]


def test_one_that_has_gone_is_told_nothing_more_and_its_requests_count_until_decided() -> None:
    budget = Budget(TOTAL, EACH)
    caller = budget.caller()
    caller.take_in(MIB)
    caller.owe(EACH)
    called: list[str] = []
    assert not caller.when_room(lambda: called.append("room"))
    caller.leave()
    assert called == ["room"]
    assert (budget.used, caller.room() > 0) == (MIB, True)
    caller.owe(MIB)
    caller.sent(EACH)
    assert budget.used == MIB
    caller.settle(MIB)
    assert budget.used == 0


def test_the_calls_of_an_address_are_one_client_s_while_any_is_under_way() -> None:
    budget = Budget(TOTAL, EACH)
    one = budget.caller_at("ipv4:10.0.0.1:1")
    one.take_in(MIB)
    assert budget.caller_at("ipv4:10.0.0.1:1") is one
    assert budget.caller_at("ipv4:10.0.0.1:2") is not one
    one.settle(MIB)
    del one
    assert budget.caller_at("ipv4:10.0.0.1:1").requests == 0


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, MIB), st.booleans()), max_size=200))
def test_no_client_holds_more_than_a_message_above_its_half_nor_all_more_than_the_total(
    steps: list[tuple[int, int, bool]],
) -> None:
    budget = Budget(8 * MIB, 2 * MIB)
    callers = [budget.caller() for _ in range(6)]
    for number, size, asks in steps:
        caller = callers[number]
        if asks and caller.may_read():
            caller.take_in(size)
        elif not asks and caller.room() > 0:
            caller.owe(min(size, caller.room()))
        elif not asks:
            caller.sent(caller.decisions)
        assert caller.requests <= MIB + MIB
        assert caller.decisions <= MIB
    assert budget.used == sum(each.requests + each.decisions for each in callers)
    assert budget.used <= 8 * MIB + 6 * (MIB + 2 * LEAST_BYTES)
