"""Output that flow runs and task runs share."""

from collections.abc import Sequence
from typing import Literal, TypeVar

from google.protobuf.timestamp_pb2 import Timestamp
from rich.text import Text

from clearway._base.unsigned import marks_unsigned
from clearway.run_errors import RunError
from clearway.v1.flow_run_pb2 import FlowRun
from clearway.v1.retry_pb2 import RetryPolicy
from clearway.v1.state_pb2 import (
    RUN_ERROR_KIND_CANCELLED,
    RUN_ERROR_KIND_UPSTREAM,
    STATE_TYPE_RUNNING,
    Data,
    State,
)
from clearway.v1.task_run_pb2 import TaskRun
from clearway_cli import _output, _states, _tables, _times
from clearway_cli._service import Listed
from clearway_cli._tables import Column

_T = TypeVar("_T")
_MomentField = Literal["create_time", "expected_start_time", "start_time", "end_time"]
_SAID = (RUN_ERROR_KIND_UPSTREAM, RUN_ERROR_KIND_CANCELLED)
_HISTORY = (Column("TIME"), Column("AFTER"), Column("STATE"), Column("MESSAGE", fold_to=24))


def text(value: str) -> Text:
    """Return a name that came from a client, escaped for the terminal and on one line."""
    return Text(_output.name(value))


def state_text(state: State) -> Text:
    """Return a state's name in the colour of its type."""
    return Text(_output.name(state.name), style=_states.style(state))


def age_text(run: FlowRun | TaskRun, now: Timestamp) -> Text:
    """Return how long ago a run was created."""
    return Text(_times.age(run.create_time, now))


def run_time_text(run: FlowRun | TaskRun, now: Timestamp) -> Text:
    """Return how long a run has run, up to now if it is still running; empty if it never started."""
    if not run.run_count:
        return Text()
    length = _times.seconds(run.total_run_time)
    if run.state.type == STATE_TYPE_RUNNING:
        length += max(0.0, _times.seconds_between(run.state.create_time, now))
    return Text(_times.span(length))


def show_rest(found: Listed[_T], kind: str, wanted_states: Sequence[str]) -> None:
    """Note on stderr that nothing was found, or that there is more than was shown."""
    if not found.items:
        _output.note(f"No {kind} found.{_states.hint(wanted_states)}")
    elif found.more:
        _output.note(f"These are the newest {len(found.items)}; --limit shows more.")


def common_facts(run: FlowRun | TaskRun, now: Timestamp) -> list[tuple[str, Text]]:
    """Return the facts that both kinds of run have, by name, without unset ones."""
    facts = [
        ("Tags", text(", ".join(run.spec.tags))),
        ("Created", _moment(run, "create_time", now)),
        ("Expected start", _moment(run, "expected_start_time", now)),
        ("Started", _moment(run, "start_time", now)),
        ("Ended", _moment(run, "end_time", now)),
        ("Run time", run_time_text(run, now)),
        ("Run count", Text(str(run.run_count))),
        ("Retries", Text(_retries(run.spec.retry_policy))),
        ("Cache key", text(run.state.details.cache_key)),
        ("Result", _result(run.state.data) if run.state.data.WhichOneof("body") else Text()),
    ]
    return [(name, value) for name, value in facts if value.plain]


def show_history(states: Sequence[State]) -> None:
    """Write a run's history of states."""
    if not states:
        return
    start = states[0].create_time
    rows = [
        [
            Text(_times.local_clock(state.create_time)),
            Text(f"+{_times.span(max(0.0, _times.seconds_between(start, state.create_time)))}"),
            state_text(state),
            Text(_output.plain(state.message)),
        ]
        for state in states
    ]
    _output.write("\n")
    _tables.show(_HISTORY, rows)


def show_error(state: State) -> None:
    """Write the exception that a run ended with, if any, with where it was raised and what caused it.

    Of a run that did not start, or that was interrupted, the state's message has said it all.
    """
    if state.data.HasField("error") and state.data.error.kind not in _SAID:
        error = RunError.from_proto(state.data.error, unsigned=marks_unsigned())
        _output.write(f"\n{_output.plain(str(error))}\n")


def _moment(run: FlowRun | TaskRun, field: _MomentField, now: Timestamp) -> Text:
    return Text(_times.moment(getattr(run, field), now) if run.HasField(field) else "")


def retries_of(policy: RetryPolicy) -> int:
    """Return how many times a failed run is tried again; ``max_attempts`` counts the first attempt too."""
    return max(0, policy.max_attempts - 1)


def _retries(policy: RetryPolicy) -> str:
    retries = retries_of(policy)
    if not retries:
        return ""
    delays = [_times.seconds(delay) for delay in policy.delays]
    apart = f", {', '.join(map(_times.span, delays))} apart" if any(delays) else ""
    return f"up to {retries}{apart}{', spread at random' if policy.jitter_factor else ''}"


def _result(data: Data) -> Text:
    where = data.location or "in the state"
    return text(f"{data.encoding}, {data.size_bytes:,} bytes, {where}")
