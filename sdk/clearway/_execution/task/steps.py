"""The steps of one task run, from its call to its end."""

from __future__ import annotations

from collections.abc import Generator
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from clearway._base.error_kinds import RunErrorKind
from clearway._base.timestamps import duration_from_proto
from clearway._execution.effects import (
    ADMIT,
    Answer,
    Effect,
    Execute,
    Outcome,
    Propose,
    Sleep,
    Steps,
    WaitFor,
)
from clearway._execution.end_lines import log_end, log_retry, one_line, raised
from clearway._execution.outcomes import (
    end_message,
    failed_state,
    lost_result,
    of_kind,
    retry_delay,
    task_state,
)
from clearway._execution.task.lifecycle import RunInterrupted
from clearway._execution.task.run import TaskRun
from clearway._execution.task.user_code import (
    ask_condition,
    begin_code,
    call_hooks,
    compared,
    take_cache_key,
    take_name,
)
from clearway._results.stored_result import MEMORY
from clearway._states.messages import fields_from_proto
from clearway._states.phase import Phase
from clearway.exceptions import Aborted, ClearwayError, UnkeptResult, UpstreamTaskError
from clearway.states import Pending, State, StateType
from clearway.v1 import state_pb2
from clearway.v1.proposal_pb2 import REJECT_REASON_CACHED, REJECT_REASON_RETRY_SCHEDULED, Decision

if TYPE_CHECKING:
    from clearway.run_errors import RunError

_Part = Generator[Effect, Any, State[Any] | None]


def task_steps(run: TaskRun) -> Steps:
    """Execute a task run from its call to its end, and return its final state.

    Raises:
        ClearwayError: The service was unreachable or refused a request; a user's exception is in the state.
        BaseException: What interrupted the run.
    """
    run.flow_attempt.ledger.enter(run)
    try:
        state = yield from _whole(run)
    except RunInterrupted:  # by another thread, which cannot know what was being proposed
        run.say_ended()
        return run.end
    except ClearwayError as error:
        run.give_up(error)
        raise
    except BaseException as cause:
        run.interrupt(cause)
        raise
    run.settle(state)
    return state


def _whole(run: TaskRun) -> Steps:
    unfinished = run.given.inputs.unfinished()
    if unfinished:
        yield WaitFor(unfinished)
    yield ADMIT
    failure = run.given.inputs.failure()
    if failure:
        return (yield from _not_ready(run, failure))
    state = yield from _prepare(run)
    while state is None:
        state = yield from _start(run)
        if state is None:
            outcome: Outcome = yield _execution(run)
            state = yield from _end(run, task_state(outcome, may_run_again=run.may_run_again))
            if state is None:
                yield ADMIT
    return state


def _execution(run: TaskRun) -> Execute:
    """Return the user's code as the run's next attempt; raises as ``begin_code``."""
    call = begin_code(run)
    seconds = run.task.timeout_seconds
    if seconds is None:
        return Execute(call)
    from clearway._execution.deadlines.timeouts import TimedExecute  # noqa: PLC0415 - most tasks have no timeout
    from clearway._execution.task.overrun import report  # noqa: PLC0415

    return TimedExecute(call, seconds, "Task", partial(report, run))


def _prepare(run: TaskRun) -> _Part:
    """Prepare the user's code. Returns None, or the state of a run that failed at it."""
    what = "reading its inputs"
    try:
        run.given.resolve()
        if run.flow_attempt.replay is not None:
            run.choose((yield compared(run)))
        what = "its task_run_name"
        take_name(run)
        what = "its cache_key_fn"
        take_cache_key(run)
    except Exception as error:  # noqa: BLE001 - a user's
        return (yield from _end(run, failed_state("Task", error, f" in {what}"), what))
    return None


def _not_ready(run: TaskRun, why: RunError) -> Steps:
    """End a run whose inputs failed. The service keeps it as Pending, since it never ran."""
    not_ready = Pending(name="NotReady", message=why.message)
    if run.flow_attempt.replay is not None:
        run.choose()
    decision = yield from _ask(run, not_ready.to_proto(state_pb2.Data(error=why.to_proto())))
    state = State.from_proto(decision.state)
    if state.is_final():  # by somebody else
        return state
    error = UpstreamTaskError(f"the task run {run.name!r} did not start: {why.message}")
    error.error = why
    return state.with_data(error)


def _start(run: TaskRun) -> _Part:
    """Propose Running. Returns None if the code is to run, otherwise the final state."""
    while True:
        run.life.move(Phase.PROPOSED)
        message = state_pb2.ProposedState(type=state_pb2.STATE_TYPE_RUNNING)
        if run.given.cache_key:
            message.cache_key = run.given.cache_key
            message.refresh_cache = run.given.refreshes_cache or run.identity.repairs > 0
            message.cache_single_flight = run.task.cache_single_flight
        decision = yield from _ask(run, message)
        answer = decision.WhichOneof("answer")
        if answer == "accept":
            if run.task.hooks:
                yield from _tell(run, State.from_proto(decision.state))
            return None
        state = run.flow_attempt.completed_before(State.from_proto(decision.state))
        if answer == "abort" and not state.is_final():
            return state.with_data(Aborted(_aborted(run, decision), decision.abort.reason))
        if state.type is not StateType.SCHEDULED:
            if (yield from _begins_anew(run, state)):
                continue
            if decision.reject.reason == REJECT_REASON_CACHED:
                run.flow_attempt.ledger.note_cached()
                yield from _tell(run, state)
            return state
        yield from _rest(run, state)
        yield ADMIT


def _begins_anew(run: TaskRun, state: State[Any]) -> Generator[Effect, Any, bool]:
    """Return whether to propose again as another run, in place of this one, which has ended."""
    if not state.is_completed():
        return run.take_own_key()
    lost: str = yield lost_result(state)
    if not lost or not run.take_repair_key():
        return False
    run.log().warning("runs anew, since %s", lost)
    return True


def _end(run: TaskRun, end: State[Any], what: str = "its code") -> _Part:
    """Propose how the run ended. Returns None if its code is to run again, otherwise the final state."""
    end, message = yield from _message(run, end)
    run.life.move(Phase.ENDING)
    if run.settles_early and end.is_completed():
        run.flow_attempt.sent.send(run.propose(message), run.check_end)
        return end
    was_reported = run.reported is not None
    try:
        decision = yield from _decision(run, message)
    except ClearwayError:  # the service is unreachable, so the log is the only record
        if end.is_failed():
            log_end(run.log(), end, what)
        raise
    if decision.WhichOneof("answer") == "accept":
        ended: State[Any] = State(*fields_from_proto(decision.state, end.data), end.error_kind)
        if ended.is_final() and not (ended.is_completed() or was_reported):
            log_end(run.log(), end, what)
        yield from _tell(run, ended)
        if ended.type is not StateType.SCHEDULED:
            return ended
        yield from _rest(run, ended)  # the code returned AwaitingRetry
        return None
    state = State.from_proto(decision.state)
    if decision.reject.reason == REJECT_REASON_RETRY_SCHEDULED:
        if not was_reported:
            log_retry(run.log(), end, retry_delay(state))
        yield from _rest(run, state)
        return None
    run.log().warning(
        "ended as %s, but the service has it as %s", end.name, one_line(str(state)), exc_info=raised(end)
    )
    return state


def _decision(run: TaskRun, message: state_pb2.ProposedState) -> Generator[Effect, Any, Decision]:
    """Propose how the run ended, unless another thread did already, and return the decision."""
    if run.reported is None:
        return (yield from _ask(run, message))
    decision: Decision = yield Answer(run.reported)
    run.reported = None
    return decision


def _message(
    run: TaskRun, end: State[Any]
) -> Generator[Effect, Any, tuple[State[Any], state_pb2.ProposedState]]:
    """Return the final state and the proposal for it; storing the result may fail the run."""
    made: state_pb2.ProposedState | UnkeptResult = yield end_message(
        end, run.name, run.task.keeping.within(run.flow_attempt.facts.keeping)
    )
    if isinstance(made, UnkeptResult):
        end = of_kind(RunErrorKind.RESULT, failed_state("Task", made))
        made = yield end_message(end, run.name)
    message = cast("state_pb2.ProposedState", made)
    if end.is_completed():
        if message.data.encoding == MEMORY:
            run.flow_attempt.keep(run.run_id, end.data)
        elif run.given.cache_key:
            message.cache_key = run.given.cache_key
            if run.task.cache_expiration is not None:
                message.cache_expiration.FromTimedelta(run.task.cache_expiration)
    elif end.is_failed() and run.phase is Phase.RUNNING and run.reported is None:
        condition = run.task.retry_condition_fn
        if condition is not None and not message.data.error.non_retryable:
            message.no_retry = not (yield ask_condition(run, end, condition))
    return end, message


def _tell(run: TaskRun, state: State[Any]) -> Generator[Effect, Any, None]:
    """Call the hooks for a state that the run has entered, before waiters are woken."""
    if not run.task.hooks_for(state):
        return
    try:
        yield call_hooks(run, state)
    except BaseException:  # interrupting a hook does not undo the state
        if state.is_final():
            run.settle(state)
        raise


def _rest(run: TaskRun, state: State[Any]) -> Generator[Effect, Any, None]:
    """Sleep until the scheduled time. Both times are the service's, so clock skew does not matter."""
    run.rest(state)
    yield Sleep(retry_delay(state))


def _ask(run: TaskRun, state: state_pb2.ProposedState) -> Generator[Effect, Any, Decision]:
    """Propose a state, again after each requested delay, until the decision is final."""
    while True:
        decision: Decision = yield Propose(
            run.flow_attempt.transport, run.propose(state), run.note_wait, run.held_up_on
        )
        run.heard(decision)
        if decision.WhichOneof("answer") != "wait":
            return decision
        yield Sleep(duration_from_proto(decision.wait.retry_after).total_seconds())
        if run.phase is Phase.PROPOSED:
            yield ADMIT


def _aborted(run: TaskRun, decision: Decision) -> str:
    return f"the task run {run.name!r} must not run: {decision.abort.message}"
