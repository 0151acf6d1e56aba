"""Flow runs that are interrupted between two steps, where no signal would find them reliably."""

from __future__ import annotations

from typing import Any

import pytest

from clearway import flow
from clearway._execution.effects import Steps
from clearway._execution.flow.attempt import FlowAttempt
from clearway._execution.flow.run import FlowRun
from clearway._execution.flow.steps import flow_steps
from clearway._transport.current import connect, disconnect
from integration.sdk_runs import last_flow_run, task_runs

pytestmark = pytest.mark.usefixtures("service")


@flow
def child() -> None: ...


@flow(retries=1, retry_delay_seconds=60)
def failing() -> None:
    raise ValueError("bad")


def begin(flow_: Any) -> Steps:
    """Return the steps of a run of a flow, called where the test is."""
    run = FlowRun(flow_, FlowAttempt.current(), {}, None)
    run.transport = connect()
    return flow_steps(run)


def interrupt_at(steps: Steps, number: int) -> None:
    """Take so many steps, and interrupt the run at the next."""
    effect = steps.send(None)
    for _ in range(number):
        effect = steps.send(effect.block())
    flush = steps.throw(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        steps.send(flush.block())


@pytest.mark.parametrize("number", [0, 1])
def test_a_run_that_has_not_begun_is_cancelled(number: int) -> None:
    interrupt_at(begin(child), number)
    state = last_flow_run("child").state
    assert (state.name, state.message) == (
        "Cancelled",
        "interrupted from the keyboard (KeyboardInterrupt)",
    )


def test_a_run_that_awaits_its_retry_is_cancelled() -> None:
    steps = begin(failing)
    effect = steps.send(None)
    while type(effect).__name__ != "Sleep":
        effect = steps.send(effect.block())
    flush = steps.throw(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        steps.send(flush.block())
    assert last_flow_run("failing").state.name == "Cancelled"


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_subflow_that_has_not_begun_is_cancelled_with_the_run_that_tracks_it(number: int) -> None:
    @flow
    def parent() -> str:
        interrupt_at(begin(child), number)
        return "done"

    assert parent() == "done"
    assert task_runs("parent")["child-0"].state.name == "Cancelled"


def test_steps_that_are_dropped_end_the_run_too() -> None:
    steps = begin(child)
    effect = steps.send(None)
    steps.send(effect.block())
    steps.close()
    disconnect()  # which waits for what was said
    assert last_flow_run("child").state.name == "Cancelled"
