"""Calling a user's functions for a flow run: its code, validators, name and hooks."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from clearway._base.clock import now
from clearway._definition.annotations import unmapped
from clearway._definition.run_names import make_run_name
from clearway._execution.effects import Execute
from clearway._execution.entering import in_flow_run
from clearway._execution.flow.attempt import FlowAttempt
from clearway._execution.flow.run import FlowRun
from clearway._execution.returned import as_data
from clearway._waiting.sigint import unshielded
from clearway.context import FlowRunContext
from clearway.states import State

if TYPE_CHECKING:
    from clearway._definition.base import FlowDefinition
    from clearway._execution.hooks import CallHooks


def take_inputs(run: FlowRun) -> None:
    """Replace futures and states among the arguments with their results, and validate the arguments.

    Raises:
        MissingResult: A result was deleted, is damaged or comes from an untrusted place.
        UnreadableResult: A result cannot be read at present.
    """
    run.parameters = run.inputs.resolved(run.parameters, keep_unmapped=True)
    if run.parameters and run.flow.should_validate_parameters:
        try:
            with unshielded():
                run.parameters = _validated(run.flow, run.parameters)
        except Exception as error:  # noqa: BLE001 - validators are user code too
            run.wrong_parameters = error


def _validated(flow: FlowDefinition, parameters: dict[str, Any]) -> dict[str, Any]:
    """Return validated and converted arguments; a value in ``unmapped`` is validated and wrapped again."""
    kept = {name for name, value in parameters.items() if isinstance(value, unmapped)}
    if not kept:
        return flow.validate_parameters(parameters)
    bare = {name: value.value if name in kept else value for name, value in parameters.items()}
    return {
        name: unmapped(value) if name in kept else value
        for name, value in flow.validate_parameters(bare).items()
    }


def take_name(run: FlowRun) -> None:
    """Name a run by its flow's ``flow_run_name``, if it has one.

    Raises:
        Exception: The name could not be rendered, or the user's function raised.
    """
    made_by = run.flow.flow_run_name
    if made_by is not None and run.wrong_parameters is None:
        attempt = run.attempt_to_name()
        with unshielded(), in_flow_run(_context_of(run, attempt), run.tags, attempt):
            owner = f"the flow {run.flow.name!r}"
            run.name = make_run_name("flow_run_name", owner, made_by, run.parameters)


def execution(run: FlowRun) -> Execute:
    """Return the effect that runs the flow's function as the current attempt."""
    call = partial(_call_async if run.flow.is_async else _call, run)
    seconds = run.flow.timeout_seconds
    if seconds is None:
        return Execute(call)
    from clearway._execution.deadlines.timeouts import TimedExecute  # noqa: PLC0415 - most flows have no timeout

    return TimedExecute(call, seconds, "Flow")


def _call(run: FlowRun) -> Any:
    attempt = run.present_attempt
    with in_flow_run(_context_of(run, attempt), run.tags, attempt):
        return as_data(run.flow.signature.call(run.parameters, run.shape), run.flow)


async def _call_async(run: FlowRun) -> Any:
    from clearway._execution.deadlines.cancel_scope import cancel_scope  # noqa: PLC0415 - sync flows need no asyncio

    attempt = run.present_attempt
    with in_flow_run(_context_of(run, attempt), run.tags, attempt), cancel_scope(run):
        return as_data(await run.flow.signature.call(run.parameters, run.shape), run.flow)


def _context_of(run: FlowRun, attempt: FlowAttempt) -> FlowRunContext:
    """Return the context that the run's code sees."""
    return FlowRunContext(
        run.flow,
        run.run_id,
        run.name,
        run.parameters,
        max(run.attempt_number, 1),
        now(),
        run.tags,
        run.scheduled_start_time,
        None if run.parent is None else run.parent.facts.flow_run_id,
        run.root_id,
        log_prints=attempt.facts.log_prints,
    )


def call_hooks(run: FlowRun, state: State[Any]) -> CallHooks:
    """Return the effect that calls the flow's hooks for a state that the run has entered."""
    from clearway._execution.hooks import CallHooks  # noqa: PLC0415 - most flows have none
    from clearway._transport.rpcs import GET_FLOW_RUN  # noqa: PLC0415
    from clearway.schemas import FlowRun as KnownRun  # noqa: PLC0415
    from clearway.v1.flow_run_pb2 import GetFlowRunRequest  # noqa: PLC0415

    attempt = run.attempt
    return CallHooks(
        run.flow,
        state,
        lambda: GET_FLOW_RUN.start(run.transport, GetFlowRunRequest(id=run.run_id)),
        lambda answer, state: replace(KnownRun.from_proto(answer.flow_run), state=state),
        lambda: (
            nullcontext() if attempt is None else in_flow_run(_context_of(run, attempt), run.tags, attempt)
        ),
        None if attempt is None else attempt.loops.beside,
        run.log,
    )
