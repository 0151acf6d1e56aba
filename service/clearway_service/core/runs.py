"""Runs: what was said of one when it was created, and how far it has come."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from clearway_service.core.moment import Moment
from clearway_service.core.resources import Resource
from clearway_service.core.retries import RetryPolicy
from clearway_service.core.states import TERMINAL, State, StateType


class RunKind(Enum):
    """Whose run it is."""

    FLOW = "flow"
    TASK = "task"


class FlowRunSpec(NamedTuple):
    """What a client said of a flow run. Times are microseconds; tags are sorted and unique."""

    id: str
    flow_name: str
    name: str
    flow_version: str
    parameters_json: str
    tags: tuple[str, ...]
    retry_policy: RetryPolicy
    parent_task_run_id: str

    @property
    def limited_tags(self) -> tuple[str, ...]:
        """No limit holds for a flow run."""
        return ()

    @property
    def limited(self) -> tuple[Resource, ...]:
        """No limit holds for a flow run."""
        return ()


class TaskRunSpec(NamedTuple):
    """What a client said of a task run. Times are microseconds; tags are sorted and unique."""

    id: str
    flow_run_id: str
    task_key: str
    dynamic_key: str
    task_name: str
    name: str
    task_version: str
    tags: tuple[str, ...]
    retry_policy: RetryPolicy
    inputs_json: str
    tracks_subflow: bool
    child_flow_run_id: str = ""

    @property
    def limited_tags(self) -> tuple[str, ...]:
        """The tags whose limits hold for the run; none for one that tracks a subflow.

        A tracking run that took slots could keep its own subflow's tasks from running.
        """
        return () if self.tracks_subflow else self.tags

    @property
    def limited(self) -> tuple[Resource, ...]:
        """The resources whose limits hold for the run: those of ``limited_tags``."""
        return () if self.tracks_subflow or not self.tags else tuple(map(Resource.of_tag, self.tags))


class Progress(NamedTuple):
    """How far a run has come: the columns that each transition keeps.

    Attributes:
        state: The present state.
        session_id: The session that holds the run while it is Running; empty for none.
        ordinal: How many states the history has.
        run_count: How many times the run entered Running.
        created: When the run was created, in microseconds since 1970, as all times here.
        expected_start_time: When it is to begin; None where it was not scheduled.
        start_time: When it first entered Running.
        end_time: When it ended.
        total_run_time: Time spent in Running, in microseconds, without the present attempt.
        running_since: When a Running run entered Running, in microseconds of the steady clock; None for any
            other, and where an earlier version wrote it.
        due: When the delay that the service gave a Scheduled run is over, in microseconds of the steady
            clock; None where it waits for a time of the calendar, or not at all.
    """

    state: State
    session_id: str
    ordinal: int
    run_count: int
    created: int
    expected_start_time: int | None
    start_time: int | None
    end_time: int | None
    total_run_time: int
    running_since: int | None = None
    due: int | None = None

    def wait_left(self, moment: Moment) -> int:
        """Return how long a Scheduled run has yet to wait, in microseconds; 0 where it may begin."""
        if self.due is not None:
            return max(0, self.due - moment.steady)
        begins = self.state.scheduled_time
        return 0 if begins is None else max(0, begins - moment.now)


def begin(state: State, session_id: str, steady: int) -> Progress:
    """Return the progress of a run whose first state is ``state``, entered at ``steady``."""
    running = state.type == StateType.RUNNING
    return Progress(
        state=state,
        session_id=session_id if running else "",
        ordinal=1,
        run_count=1 if running else 0,
        created=state.timestamp,
        expected_start_time=state.scheduled_time,
        start_time=state.timestamp if running else None,
        end_time=state.timestamp if state.type in TERMINAL else None,
        total_run_time=0,
        running_since=steady if running else None,
    )


def advance(
    progress: Progress, state: State, session_id: str, steady: int, due: int | None = None
) -> Progress:
    """Return the progress of a run that leaves its state for ``state``.

    Args:
        progress: How far the run has come.
        state: The state that it enters, with the time of entering.
        session_id: The session that holds it if ``state`` is Running; empty for none.
        steady: The time of entering on the steady clock.
        due: When a delay that the service gives it is over, on the steady clock; None for none.
    """
    now = state.timestamp
    running = state.type == StateType.RUNNING
    return Progress(
        state=state,
        session_id=session_id if running else "",
        ordinal=progress.ordinal + 1,
        run_count=progress.run_count + running,
        created=progress.created,
        expected_start_time=(
            progress.expected_start_time if state.scheduled_time is None else state.scheduled_time
        ),
        start_time=now if running and progress.start_time is None else progress.start_time,
        end_time=now if state.type in TERMINAL else None,
        total_run_time=progress.total_run_time + _worked(progress, now, steady),
        running_since=steady if running else None,
        due=due,
    )


def _worked(progress: Progress, now: int, steady: int) -> int:
    """Return how long a run that leaves its state was Running in it, in microseconds."""
    if progress.state.type != StateType.RUNNING:
        return 0
    if progress.running_since is None:
        return max(0, now - progress.state.timestamp)
    return max(0, steady - progress.running_since)
