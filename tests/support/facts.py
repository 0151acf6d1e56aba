"""Short ways to say what a rule knows, and grids of what it should answer."""

from __future__ import annotations

from typing import Any

from clearway_service.core.facts import Facts
from clearway_service.core.moment import Moment
from clearway_service.core.retries import NO_RETRIES, RetryPolicy
from clearway_service.core.runs import FlowRunSpec, Progress, TaskRunSpec
from clearway_service.core.states import DEFAULT_NAMES, ProposedState, State, StateType

NOW = 1_800_000_000_000_000
SECOND = 1_000_000
# The steady clock of the tests is far from the wall clock, so that none is taken for the other.
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

# What a proposal may be answered, as one letter of a grid.
ACCEPT, WAIT, REJECT, ABORT, SILENT = "accept", "wait", "reject", "abort", "nothing"
_LETTERS = {"a": ACCEPT, "w": WAIT, "r": REJECT, "x": ABORT, ".": SILENT}

Transition = tuple[StateType | None, StateType, str]


def retrying(retries: int, *delays: int, jitter_factor: float = 0.0) -> RetryPolicy:
    """Return the policy of a run that is tried again ``retries`` times."""
    return RetryPolicy(retries + 1, delays, jitter_factor)


def state(type_: StateType, **more: Any) -> State:
    """Return a state that a run entered a second ago; a Scheduled one may begin at once."""
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
    """Return how far a run in a state of ``type_`` has come; ``more`` is about the state."""
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
    """Return a proposed state; a Scheduled one is for now."""
    when = NOW if type_ is StateType.SCHEDULED else None
    return ProposedState(**({"type": type_, "scheduled_time": when} | more))


def facts(before: StateType | Progress | None, to: StateType | ProposedState, **more: Any) -> Facts:
    """Return the facts of a task run that leaves ``before`` for ``to``."""
    given: dict[str, Any] = {
        "moment": MOMENT,
        "run": TASK,
        "progress": progress(before) if isinstance(before, StateType) else before,
        "proposed": proposed(to) if isinstance(to, StateType) else to,
    }
    return Facts(**(given | more))


def transitions(grid: str) -> list[Transition]:
    """Return each transition of a grid, with the answer that is expected.

    A line begins with the state that the run is in, ``new`` for a run that is being created, and has one
    letter for each proposed state, in the order of ``StateType``: ``a`` accept, ``w`` wait, ``r`` reject,
    ``x`` abort, ``.`` nothing, which leaves it to the next rule. All states must be there.
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
    """Return what a decision is called in a grid."""
    return SILENT if decision is None else type(decision).__name__.lower()


def transition_id(value: object) -> str:
    """Return what a parameter of a grid is called in a test's name."""
    if value is None:
        return "new"
    return value.name.lower() if isinstance(value, StateType) else str(value)
