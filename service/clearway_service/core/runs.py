"""Runs: their specs, given at creation, and their progress."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from clearway_service.core.moment import Moment
from clearway_service.core.resources import Resource
from clearway_service.core.retries import RetryPolicy
from clearway_service.core.states import TERMINAL, State, StateType


class RunKind(Enum):
    """The kinds of run."""

    FLOW = "flow"
    TASK = "task"


class FlowRunSpec(NamedTuple):
    """A flow run as the client defined it. Times are in microseconds; tags are sorted and unique."""

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
        """Empty: limits do not apply to flow runs."""
        return ()

    @property
    def limited(self) -> tuple[Resource, ...]:
        """Empty: limits do not apply to flow runs."""
        return ()


class TaskRunSpec(NamedTuple):
    """A task run as the client defined it. Times are in microseconds; tags are sorted and unique."""

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
        """The tags whose limits apply to the run; none if it tracks a subflow.

        A tracking run that took slots could block its own subflow's tasks.
        """
        return () if self.tracks_subflow else self.tags

    @property
    def limited(self) -> tuple[Resource, ...]:
        """The resources whose limits apply to the run: those of ``limited_tags``."""
        return () if self.tracks_subflow or not self.tags else tuple(map(Resource.of_tag, self.tags))


class Progress(NamedTuple):
    """The progress of a run: the columns that transitions update.

    Attributes:
        state: The current state.
        session_id: The session that holds the run while it is Running; empty for none.
        ordinal: The number of states in the history.
        run_count: How many times the run entered Running.
        created: When the run was created, in microseconds since 1970, like all times here.
        expected_start_time: When it is scheduled to start; None if it was not scheduled.
        start_time: When it first entered Running.
        end_time: When it ended.
        total_run_time: Time spent in Running, in microseconds, without the current attempt.
        running_since: When a Running run entered Running, in microseconds of the steady clock; None in other
            states, and for rows written by earlier versions.
        due: When the delay that the service set for a Scheduled run ends, in microseconds of the steady
            clock; None if it waits for a calendar time, or does not wait.
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
        """Return how long a Scheduled run still has to wait, in microseconds; 0 if it may start."""
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
    """Return the progress of a run after it leaves its state for ``state``.

    Args:
        progress: The progress before.
        state: The state that it enters, with the time of entry.
        session_id: The session that holds it if ``state`` is Running; empty for none.
        steady: The time of entry on the steady clock.
        due: When the delay set by the service ends, on the steady clock; None for no delay.
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
    """Return how long a run that now leaves its state was Running, in microseconds."""
    if progress.state.type != StateType.RUNNING:
        return 0
    if progress.running_since is None:
        return max(0, now - progress.state.timestamp)
    return max(0, steady - progress.running_since)
