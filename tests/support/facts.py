"""Shorthands for building facts, and grids of expected decisions."""

from __future__ import annotations

from typing import Any

from clearway_service.core.facts import Facts
from clearway_service.core.moment import Moment
from clearway_service.core.retries import NO_RETRIES, RetryPolicy
from clearway_service.core.runs import FlowRunSpec, Progress, TaskRunSpec
from clearway_service.core.states import DEFAULT_NAMES, ProposedState, State, StateType

NOW = 1_800_000_000_000_000
SECOND = 1_000_000
# Far from the wall clock, so that a test fails if the code mixes up the two clocks.
STEADY = 7_000_000_000
MOMENT = Moment(NOW, STEADY)
TYPES = tuple(StateType)

FLOW = FlowRunSpec(
    id="flow-run",
    flow_name="flow",
    name="a flow run",
    flow_version="",
    parameters_json="{}",
    tags=(),
    retry_policy=NO_RETRIES,
    parent_task_run_id="",
)
TASK = TaskRunSpec(
    id="task-run",
    flow_run_id="flow-run",
    task_key="task",
    dynamic_key="0",
    task_name="task",
    name="a task run",
    task_version="",
    tags=(),
    retry_policy=NO_RETRIES,
    inputs_json="[]",
    tracks_subflow=False,
)

# The possible decisions, each with its letter in a grid.
ACCEPT, WAIT, REJECT, ABORT, SILENT = "accept", "wait", "reject", "abort", "nothing"
_LETTERS = {"a": ACCEPT, "w": WAIT, "r": REJECT, "x": ABORT, ".": SILENT}

Transition = tuple[StateType | None, StateType, str]


def retrying(retries: int, *delays: int, jitter_factor: float = 0.0) -> RetryPolicy:
    """Return the policy of a run that is retried ``retries`` times."""
    return RetryPolicy(retries + 1, delays, jitter_factor)


def state(type_: StateType, **more: Any) -> State:
    """Return a state that a run entered a second ago; a Scheduled run may start at once."""
    given: dict[str, Any] = {
        "id": f"state-{type_.name}",
        "type": type_,
        "name": DEFAULT_NAMES[type_],
        "timestamp": NOW - SECOND,
        "message": "",
        "data": None,
        "scheduled_time": NOW - SECOND if type_ is StateType.SCHEDULED else None,
        "cache_key": "",
        "cache_expiration": None,
    }
    return State(**(given | more))


def progress(
    type_: StateType, *, run_count: int | None = None, session_id: str = "", **more: Any
) -> Progress:
    """Return the progress of a run in a state of ``type_``; ``more`` are fields of the state."""
    counted = int(type_ is StateType.RUNNING) if run_count is None else run_count
    return Progress(
        state=state(type_, **more),
        session_id=session_id,
        ordinal=1,
        run_count=counted,
        created=NOW - SECOND,
        expected_start_time=None,
        start_time=None,
        end_time=None,
        total_run_time=0,
    )


def proposed(type_: StateType, **more: Any) -> ProposedState:
    """Return a proposed state; a Scheduled one is due now."""
    when = NOW if type_ is StateType.SCHEDULED else None
    return ProposedState(**({"type": type_, "scheduled_time": when} | more))


def facts(before: StateType | Progress | None, to: StateType | ProposedState, **more: Any) -> Facts:
    """Return the facts about a task run that proposes to move from ``before`` to ``to``."""
    given: dict[str, Any] = {
        "moment": MOMENT,
        "run": TASK,
        "progress": progress(before) if isinstance(before, StateType) else before,
        "proposed": proposed(to) if isinstance(to, StateType) else to,
    }
    return Facts(**(given | more))


def transitions(grid: str) -> list[Transition]:
    """Return the transitions of a grid, with the expected decisions.

    A line starts with the run's current state, or ``new`` for a run that is being created. It has one letter
    for each proposed state, in the order of ``StateType``: ``a`` accept, ``w`` wait, ``r`` reject,
    ``x`` abort, ``.`` no decision, which leaves it to the next rule. The grid must have a line for
    every state.
    """
    found: list[Transition] = []
    for line in grid.strip().splitlines():
        name, *letters = line.split()
        before = None if name == "new" else StateType[name.upper()]
        found += [(before, to, _LETTERS[letter]) for to, letter in zip(TYPES, letters, strict=True)]
    complete = {(before, to) for before in (None, *TYPES) for to in TYPES}
    assert len(found) == len(complete)
    assert {(before, to) for before, to, _ in found} == complete
    return found


def answer_name(decision: object) -> str:
    """Return the name of a decision in a grid."""
    return SILENT if decision is None else type(decision).__name__.lower()


def transition_id(value: object) -> str:
    """Return the test id for a parameter of a grid."""
    if value is None:
        return "new"
    return value.name.lower() if isinstance(value, StateType) else str(value)
