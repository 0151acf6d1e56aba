"""The storm's checker accepts valid evidence, and finds each kind of violation planted in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from faults.storm.checker import check
from faults.storm.evidence import (
    AbortRow,
    Asked,
    Body,
    Evidence,
    Life,
    RunRow,
    StateRow,
    Told,
    Trouble,
    Waiting,
)

OFFSET = 1_000_000.0
SCHEDULED, PENDING, RUNNING, COMPLETED, FAILED, CRASHED = 1, 2, 3, 4, 5, 7
TERMINAL_REASON = 1
FOREVER = float("inf")


def state(run: str, ordinal: int, type_: int, at: float, name: str = "", **more: object) -> StateRow:
    names = ["", "Scheduled", "Pending", "Running", "Completed", "Failed", "Cancelled", "Crashed"]
    return StateRow(f"{run}.{ordinal}", run, ordinal, type_, name or names[type_], OFFSET + at, **more)  # type: ignore[arg-type]


def told(row: StateRow, answer: str = "accept", client: str = "ann") -> Told:
    return Told(client, row.id, row.run, answer, (row.id, row.type, row.name, row.time), row.result)


def run(last: StateRow, count: int, client: str = "ann", tags: tuple[str, ...] = ()) -> RunRow:
    return RunRow(last.run, "task", last.id, last.type, last.ordinal, count, 1, client, tags)


def good_day() -> Evidence:
    """Return valid evidence: two completed runs, a cached one, and one whose client was killed."""
    a = [state("a", 1, RUNNING, 10), state("a", 2, COMPLETED, 12, key="k", result="r1")]
    b = [
        state("b", 1, PENDING, 11),
        state("b", 2, RUNNING, 12.1),
        state("b", 3, SCHEDULED, 13, "AwaitingRetry", scheduled=OFFSET + 13.5),
        state("b", 4, RUNNING, 14, "Retrying"),
        state("b", 5, COMPLETED, 15, result="r2"),
    ]
    c = [state("c", 1, RUNNING, 20), state("c", 2, CRASHED, 23)]
    d = [state("d", 1, COMPLETED, 16, "Cached", key="k", result="r1")]
    proposed = [*a, *b[1:], c[0], d[0]]
    asked = [
        Asked("ann", row.id, row.run, row.type, row.result)
        for row in proposed
        if row.id not in ("b.3", "d.1")
    ]
    asked += [Asked("ann", "b.3", "b", FAILED), Asked("ann", "d.1", "", RUNNING)]
    decisions = [told(row, "reject" if row.id in ("b.3", "d.1") else "accept") for row in proposed]
    late = Told("ann", "late", "c", "abort", ("c.2", CRASHED, "Crashed", OFFSET + 23), reason=TERMINAL_REASON)
    return Evidence(
        lease=2,
        wall_offset=OFFSET,
        states=[*a, *b, *c, *d],
        runs=[run(a[-1], 1, tags=("t",)), run(b[-1], 2, tags=("t",)), run(c[-1], 1), run(d[-1], 0)],
        aborts=[AbortRow("late", "c", TERMINAL_REASON, "c.2")],
        asked=asked,
        told=[*decisions, decisions[0], late],
        bodies=[
            Body("a.1", "a", "ann", 1, 10.1, 11.9, ("t",), "k"),
            Body("b.2", "b", "ann", 1, 12.2, 12.9, ("t",)),
            Body("b.4", "b", "ann", 1, 14.1, 14.9, ("t",)),
            Body("c.1", "c", "ann", 1, 20.1, None),
        ],
        lives=[Life("ann", 1, 0, killed=21)],
        troubles=[Trouble("ann", "SIGKILL", 21, FOREVER)],
        limits={"t": 1},
        flows=[("flow 1", "[1]", "[1]")],
    )


def with_state(evidence: Evidence, index: int, **change: object) -> None:
    evidence.states[index] = evidence.states[index]._replace(**change)


def lose_a_state(evidence: Evidence) -> None:
    del evidence.states[1]


def lose_a_state_in_between(evidence: Evidence) -> None:
    del evidence.states[3]


def lose_an_abort(evidence: Evidence) -> None:
    evidence.aborts.clear()


def record_another_abort(evidence: Evidence) -> None:
    evidence.aborts[0] = evidence.aborts[0]._replace(reason=2)


def record_another_name(evidence: Evidence) -> None:
    with_state(evidence, 1, name="Done")


def record_another_time(evidence: Evidence) -> None:
    with_state(evidence, 1, time=OFFSET + 12.001)


def tell_of_another_result(evidence: Evidence) -> None:
    evidence.told[1] = evidence.told[1]._replace(result="other")


def tell_otherwise_the_second_time(evidence: Evidence) -> None:
    evidence.told.append(evidence.told[0]._replace(answer="reject"))


def move_without_a_proposal(evidence: Evidence) -> None:
    evidence.asked = [ask for ask in evidence.asked if ask.proposal != "a.2"]


def move_another_run(evidence: Evidence) -> None:
    evidence.asked[1] = evidence.asked[1]._replace(run="b")


def change_a_result(evidence: Evidence) -> None:
    evidence.asked[1] = evidence.asked[1]._replace(result="r9")


def serve_what_was_never_computed(evidence: Evidence) -> None:
    with_state(evidence, 0, time=OFFSET + 5)
    with_state(evidence, 9, key="other")


def skip_an_ordinal(evidence: Evidence) -> None:
    with_state(evidence, 1, ordinal=3)


def repeat_an_ordinal(evidence: Evidence) -> None:
    with_state(evidence, 3, ordinal=1)


def stay_behind(evidence: Evidence) -> None:
    evidence.runs[0] = evidence.runs[0]._replace(state_id="a.1", state_type=RUNNING)


def go_back_in_time(evidence: Evidence) -> None:
    with_state(evidence, 0, time=OFFSET + 12.5)


def leave_a_terminal_state(evidence: Evidence) -> None:
    with_state(evidence, 4, type=FAILED)


def run_twice_in_a_row(evidence: Evidence) -> None:
    with_state(evidence, 4, type=RUNNING)


def begin_before_its_time(evidence: Evidence) -> None:
    with_state(evidence, 4, scheduled=OFFSET + 14.5)


def miscount(evidence: Evidence) -> None:
    evidence.runs[1] = evidence.runs[1]._replace(run_count=1)


def retry_without_retries(evidence: Evidence) -> None:
    evidence.runs[1] = evidence.runs[1]._replace(retries=0)


def record_a_state_twice(evidence: Evidence) -> None:
    evidence.states.append(evidence.states[0])


def lose_a_run(evidence: Evidence) -> None:
    del evidence.runs[3]


def exceed_a_limit_in_histories(evidence: Evidence) -> None:
    with_state(evidence, 3, time=OFFSET + 11.9)


def run_a_body_twice(evidence: Evidence) -> None:
    evidence.bodies.append(evidence.bodies[0]._replace(pid=2))


def run_a_body_without_leave(evidence: Evidence) -> None:
    evidence.bodies.append(Body("d.1", "d", "ann", 1, 16.1, 16.2))


def run_a_body_too_early(evidence: Evidence) -> None:
    evidence.bodies[0] = evidence.bodies[0]._replace(began=9)


def overlap_in_a_limit(evidence: Evidence) -> None:
    evidence.bodies[1] = evidence.bodies[1]._replace(began=11.8)
    evidence.states[3] = evidence.states[3]._replace(time=OFFSET + 11.8)


def overlap_in_a_key(evidence: Evidence) -> None:
    evidence.bodies[3] = evidence.bodies[3]._replace(key="k")
    evidence.bodies.append(Body("e.1", "c", "bob", 2, 20.5, 20.9, (), "k"))


def crash_a_client_that_lives(evidence: Evidence) -> None:
    evidence.troubles = [Trouble("bob", "SIGKILL", 21, FOREVER), Trouble("", "kill server", 1, 2)]


def take_over_from_a_client_that_lives(evidence: Evidence) -> None:
    with_state(evidence, 4, type=RUNNING, name="Rerunning", time=OFFSET + 12.2)


def keep_a_slot(evidence: Evidence) -> None:
    evidence.slots.append(("t", "c"))


def keep_a_waiter(evidence: Evidence) -> None:
    evidence.waiters.append(("p", "c"))


def forget_a_waiter(evidence: Evidence) -> None:
    evidence.forgotten.append(Waiting("p", "c", ("t",)))


def leave_a_run_running(evidence: Evidence) -> None:
    last = state("f", 1, RUNNING, 20)
    evidence.states.append(last)
    evidence.runs.append(run(last, 1, client=""))


def lose_a_flow(evidence: Evidence) -> None:
    evidence.flows.append(("flow 2", "[2]", None))


def spoil_a_flow(evidence: Evidence) -> None:
    evidence.flows.append(("flow 2", "[2]", "[3]"))


def report_damage(evidence: Evidence) -> None:
    evidence.damage.append("client ann ended by itself")


PLANTED: list[tuple[str, Callable[[Evidence], None]]] = [
    ("a decision that was told is lost", lose_a_state),
    ("a decision that was told is lost", lose_an_abort),
    ("a decision is not what was told", record_another_abort),
    ("a decision is not what was told", record_another_name),
    ("a decision is not what was told", record_another_time),
    ("a decision is not what was told", tell_of_another_result),
    ("a repeated proposal got another decision", tell_otherwise_the_second_time),
    ("a state that was never proposed", move_without_a_proposal),
    ("a proposal moved another run", move_another_run),
    ("a result was changed", change_a_result),
    ("a cached result that was never computed", serve_what_was_never_computed),
    ("a history with gaps", skip_an_ordinal),
    ("a history with gaps", repeat_an_ordinal),
    ("a history with gaps", lose_a_state_in_between),
    ("a run is not in its last state", stay_behind),
    ("a history that goes back in time", go_back_in_time),
    ("a run left a terminal state", leave_a_terminal_state),
    ("a step that no run may take", run_twice_in_a_row),
    ("a run began before its time", begin_before_its_time),
    ("a run count that is wrong", miscount),
    ("a run was retried too often", retry_without_retries),
    ("a state that is there twice", record_a_state_twice),
    ("a history without a run", lose_a_run),
    ("a limit was exceeded by the histories", exceed_a_limit_in_histories),
    ("the body of one attempt ran twice", run_a_body_twice),
    ("a body ran without leave", run_a_body_without_leave),
    ("a body ran without leave", run_a_body_too_early),
    ("a limit was exceeded", overlap_in_a_limit),
    ("a key was computed twice at a time", overlap_in_a_key),
    ("a run was taken from a client that lived", crash_a_client_that_lives),
    ("a run was taken from a client that lived", take_over_from_a_client_that_lives),
    ("a slot is held by the dead", keep_a_slot),
    ("a waiter is left", keep_a_waiter),
    ("a waiter waits while slots are free", forget_a_waiter),
    ("a run of the dead is Running", leave_a_run_running),
    ("a flow never completed", lose_a_flow),
    ("a flow has a wrong result", spoil_a_flow),
    ("damage", report_damage),
]


def test_a_good_day_has_no_violation() -> None:
    assert check(good_day()) == []


@pytest.mark.parametrize(("rule", "plant"), PLANTED, ids=[plant.__name__ for _, plant in PLANTED])
def test_a_planted_violation_is_found(rule: str, plant: Callable[[Evidence], None]) -> None:
    evidence = good_day()
    plant(evidence)
    assert rule in {violation.rule for violation in check(evidence)}


def test_the_body_of_a_killed_process_counts_only_while_it_lived() -> None:
    evidence = good_day()
    evidence.bodies[3] = evidence.bodies[3]._replace(tags=("t",))
    successor = Body("e.1", "e", "bob", 2, 21.5, 22, ("t",))
    started = [state("e", 1, RUNNING, 21.4), state("e", 2, COMPLETED, 22.1)]
    evidence.states += started
    evidence.runs.append(run(started[-1], 1, client=""))
    evidence.bodies.append(successor)
    assert check(evidence) == []
    evidence.bodies[-1] = successor._replace(began=20.9)
    evidence.states[-2] = state("e", 1, RUNNING, 20.9)
    assert {violation.rule for violation in check(evidence)} == {"a limit was exceeded"}


def test_the_body_of_a_run_that_was_taken_away_counts_no_longer() -> None:
    evidence = replace(good_day(), lives=[Life("ann", 1, 0)])
    evidence.troubles = [Trouble("ann", "SIGSTOP", 20.5, 26)]
    evidence.bodies[3] = evidence.bodies[3]._replace(tags=("t",), ended=27)
    started = [state("e", 1, RUNNING, 23), state("e", 2, COMPLETED, 24)]
    evidence.states += started
    evidence.runs.append(run(started[-1], 1, client=""))
    evidence.bodies.append(Body("e.1", "e", "bob", 2, 23.1, 23.9, ("t",)))
    assert check(evidence) == []
