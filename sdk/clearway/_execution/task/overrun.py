"""Reporting the end of a task run whose code still occupies the thread that would report it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from clearway._execution.end_lines import log_end, log_retry
from clearway._execution.outcomes import end_message, retry_delay, task_state
from clearway._execution.task.user_code import ask_condition
from clearway._execution.threads import get_threads
from clearway._transport.decision_future import DecisionFuture
from clearway.states import State
from clearway.v1 import state_pb2
from clearway.v1.proposal_pb2 import REJECT_REASON_RETRY_SCHEDULED

if TYPE_CHECKING:
    from clearway._execution.effects import Outcome
    from clearway._execution.task.run import TaskRun


def report(run: TaskRun, outcome: Outcome) -> None:
    """Propose on another thread how a directly called run ended; returns at once.

    The run itself takes the decision when its code has finally returned.
    """
    told = DecisionFuture()
    run.reported = told
    get_threads().submit(partial(_report, run, outcome, told))


def _report(run: TaskRun, outcome: Outcome, told: DecisionFuture) -> None:
    try:
        state = task_state(outcome)
        message: state_pb2.ProposedState = end_message(state, run.name).function()
        condition = run.task.retry_condition_fn
        if condition is not None:
            message.no_retry = not ask_condition(run, state, condition).block()
        decision = run.flow_attempt.transport.propose(run.propose(message)).result()
        if decision.reject.reason == REJECT_REASON_RETRY_SCHEDULED:
            log_retry(run.log(), state, retry_delay(State.from_proto(decision.state)))
        else:
            log_end(run.log(), state)
        told.resolve(decision)
    except BaseException as error:  # noqa: BLE001 - raised again in the run
        told.fail(error)
