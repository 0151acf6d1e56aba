"""The steps of one flow run, from its call to its end."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from clearway._base.error_kinds import RunErrorKind
from clearway._base.timestamps import duration_from_proto
from clearway._display import progress
from clearway._execution.effects import Answer, Effect, Outcome, Propose, Sleep, Steps, WaitFor
from clearway._execution.end_lines import log_end, log_retry, one_line, raised, why
from clearway._execution.flow.attempt import FlowAttempt
from clearway._execution.flow.run import FlowRun
from clearway._execution.flow.user_code import call_hooks, execution, take_inputs, take_name
from clearway._execution.outcomes import (
    end_message,
    entered,
    failed_state,
    flow_state,
    made_by_hand,
    retry_delay,
)
from clearway._results.stored_result import MEMORY
from clearway.exceptions import ClearwayError, Deadlock, UpstreamTaskError
from clearway.logging import flush_logs
from clearway.states import State, StateType
from clearway.v1 import state_pb2
from clearway.v1.proposal_pb2 import Decision


@dataclass(slots=True)
class Drain:
    """Wait until all task runs of an attempt have ended and every proposal sent has its decision."""

    attempt: FlowAttempt

    def block(self) -> None:
        """Wait in this thread."""
        self.attempt.drain()

    async def wait(self) -> None:
        """Wait in this coroutine."""
        await self.attempt.drain_async()


def flow_steps(run: FlowRun) -> Steps:
    """Execute a flow run from its call to its end, and return its final state.

    Raises:
        UpstreamTaskError: A subflow's argument did not complete, so the subflow was not run.
        ClearwayError: The service was unreachable or refused a request; a user's exception is in the state.
        BaseException: What interrupted the run.
    """
    yield from _wait_for_inputs(run)
    state: State[Any] | None = None
    try:
        state = None if run.parent is None else (yield from _track(run))
        if state is None:
            run.created((yield Answer(run.create())))
            state = yield from _live(run)
    except (ClearwayError, GeneratorExit) as cause:  # no more steps are possible
        run.abandon(cause)
        raise
    except BaseException as cause:
        if not run.over:
            yield run.abandon(cause)
            yield from _tell(run, run.abandoned_as)
        raise
    finally:
        run.close()
        progress.finish(run, run.end_log.last_line)
    run.tell_parent(state)
    if run.parent is None:
        yield Answer(flush_logs())
    return state


def _wait_for_inputs(run: FlowRun) -> Generator[Effect, Any, None]:
    unfinished = run.inputs.unfinished()
    if unfinished:
        yield WaitFor(unfinished)
    failure = run.inputs.failure()
    if failure:
        error = UpstreamTaskError(f"the flow {run.flow.name!r} was not started: {failure.message}")
        error.error = failure
        raise error
    take_inputs(run)
    if run.wrong_parameters is None:
        take_name(run)


def _track(run: FlowRun) -> Generator[Effect, Any, State[Any] | None]:
    """Create the task run that represents a subflow in its parent.

    Returns:
        The state of the subflow if an earlier attempt of the parent completed it; None if it has to run.
    """
    assert run.parent is not None
    assert run.tracking is not None
    if run.parent.replay is not None:
        reason = run.tracking.choose((yield run.tracking.compared(run.flow.fn, run.parameters)))
        if reason:
            number = run.parent.facts.number
            run.parent.log().warning(
                "the subflow %r runs again in attempt %d: %s", run.flow.name, number, reason
            )
    while True:
        response = yield Answer(run.create_tracking_run())
        run.tracked_by(response.task_run.spec.id)
        state = State.from_proto(response.task_run.state)
        if state.is_completed():
            return run.parent.completed_before(state)
        if not (state.is_final() and run.tracking.choose_own()):
            return None


def _live(run: FlowRun) -> Steps:
    if run.wrong_parameters is not None:
        end = failed_state("Flow", run.wrong_parameters, " in validating its parameters")
        state = yield from _end(run, end, run.wrong_parameters)
        yield from _tell(run, state)
        return state
    while True:
        decision = yield from _ask(run, state_pb2.ProposedState(type=state_pb2.STATE_TYPE_RUNNING))
        if decision.WhichOneof("answer") != "accept":
            return State.from_proto(decision.state)
        attempt = run.begin()
        yield from _tell(run, State.from_proto(decision.state))
        state = yield from _attempt(run, attempt)
        run.over = state.is_final()
        yield from _tell(run, state)
        run.rest()
        if state.type is not StateType.SCHEDULED:
            return state
        yield Sleep(retry_delay(state))


def _attempt(run: FlowRun, attempt: FlowAttempt) -> Steps:
    """Run the code once; the returned state is Scheduled if it is to run again."""
    log = run.log()
    log.info(
        "flow %r began%s", run.flow.name, f", attempt {run.attempt_number}" if run.attempt_number > 1 else ""
    )
    outcome: Outcome = yield execution(run)
    if outcome.timed_out and outcome.error is not None:
        attempt.interrupt(outcome.error)
    try:
        yield Drain(attempt)
    except ClearwayError as error:
        outcome = outcome if outcome.error is not None else Outcome(error=error)
        if isinstance(error, Deadlock):
            attempt.interrupt(error)
    if attempt.lost:
        return run.lost_state()
    end = flow_state(outcome, attempt.ledger.not_completed(), attempt.ledger.total)
    is_new = outcome.error is not None and not outcome.timed_out and not attempt.ledger.knows(outcome.error)
    by_hand = isinstance(outcome.value, State) and made_by_hand(outcome.value)
    return (yield from _end(run, end, outcome.error if is_new else None, by_hand=by_hand))


def _end(run: FlowRun, end: State[Any], error: Exception | None, *, by_hand: bool = False) -> Steps:
    """Propose how an attempt ended, and return the state that the run has then.

    Args:
        run: The run.
        end: How it ended.
        error: What its code raised, if no line has said so yet.
        by_hand: Whether its code returned a state that it had made.
    """
    message: state_pb2.ProposedState = yield end_message(end, run.name, run.keeping)
    if end.is_completed() and message.data.encoding == MEMORY:
        run.keep_result(end.data)
    try:
        decision = yield from _ask(run, message)
    except ClearwayError:  # the service cannot be asked, and the log is all that there will be of it
        if error is not None:
            log_end(run.log(), end)
        raise
    state = State.from_proto(decision.state)
    if decision.WhichOneof("answer") == "accept":
        state = entered(state, end)
    elif state.type is not StateType.SCHEDULED:
        run.log_end(state, f"and not as {end.name}, as it proposed: {one_line(state.message)}", error)
        return state
    if state.type is StateType.SCHEDULED:
        log_retry(run.log(), end, retry_delay(state))
    else:
        run.log_end(state, _detail(end, by_hand=by_hand), None if error is None else raised(end))
    return state


def _detail(end: State[Any], *, by_hand: bool) -> str:
    """Return why a flow run ended as it did, in a few words that no other line has."""
    if isinstance(end.data, Exception) and end.error_kind is not RunErrorKind.TIMEOUT:
        return type(end.data).__name__
    return why(end) if end.message and (by_hand or isinstance(end.data, Exception)) else ""


def _tell(run: FlowRun, state: State[Any]) -> Generator[Effect, Any, None]:
    """Call the hooks for a state that the run has entered."""
    if run.flow.hooks_for(state):
        yield call_hooks(run, state)


def _ask(run: FlowRun, state: state_pb2.ProposedState) -> Generator[Effect, Any, Decision]:
    while True:
        decision: Decision = yield Propose(run.transport, run.propose(state))
        if decision.WhichOneof("answer") != "wait":
            return decision
        yield Sleep(duration_from_proto(decision.wait.retry_after).total_seconds())
