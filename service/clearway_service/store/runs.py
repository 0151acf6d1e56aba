"""Runs: creating one without proposing anything for it yet."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import select, update

from clearway_service.core.runs import FlowRunSpec, Progress, RunKind, TaskRunSpec, begin
from clearway_service.core.snapshot import RunEntry
from clearway_service.core.states import DEFAULT_NAMES, ProposedState, State, StateType
from clearway_service.errors import RunConflictError, RunNotFoundError
from clearway_service.store import schema, statements
from clearway_service.store.rows import flow_run_from, state_to, task_run_from
from clearway_service.store.transaction import Transaction
from clearway_service.store.writing import insert_runs

CreatedFlowRun = tuple[FlowRunSpec, Progress, bool]
CreatedTaskRun = tuple[TaskRunSpec, Progress, bool]


def create_flow_run(spec: FlowRunSpec, initial: ProposedState) -> Callable[[Transaction], CreatedFlowRun]:
    """Return the command that creates a flow run, or finds the one with the same id."""

    def command(transaction: Transaction) -> CreatedFlowRun:
        table = schema.flow_run
        query = statements.select_runs(table).where(table.c.id == spec.id)
        row = transaction.connection.execute(query).first()
        if row is not None:
            return *flow_run_from(tuple(row)), False
        if spec.parent_task_run_id:
            _adopt_child(transaction, spec)
        return spec, _insert(transaction, RunKind.FLOW, spec, initial), True

    return command


def create_task_run(spec: TaskRunSpec, initial: ProposedState) -> Callable[[Transaction], CreatedTaskRun]:
    """Return the command that creates a task run, or finds the one with the same keys."""

    def command(transaction: Transaction) -> CreatedTaskRun:
        table = schema.task_run
        same = (
            (table.c.flow_run_id == spec.flow_run_id)
            & (table.c.task_key == spec.task_key)
            & (table.c.dynamic_key == spec.dynamic_key)
        )
        row = transaction.connection.execute(statements.select_runs(table).where(same)).first()
        if row is not None:
            return *task_run_from(tuple(row)), False
        connection = transaction.connection
        if connection.scalar(select(table.c.id).where(table.c.id == spec.id)) is not None:
            raise RunConflictError(f"id {spec.id} is another task run's", "task_run.id")
        flow = schema.flow_run
        if connection.scalar(select(flow.c.id).where(flow.c.id == spec.flow_run_id)) is None:
            raise RunNotFoundError(f"no flow run has the id {spec.flow_run_id}", "task_run.flow_run_id")
        return spec, _insert(transaction, RunKind.TASK, spec, initial), True

    return command


def _adopt_child(transaction: Transaction, spec: FlowRunSpec) -> None:
    table = schema.task_run
    statement = update(table).where(table.c.id == spec.parent_task_run_id).values(child_flow_run_id=spec.id)
    if transaction.connection.execute(statement).rowcount == 0:
        raise RunNotFoundError(
            f"no task run has the id {spec.parent_task_run_id}", "flow_run.parent_task_run_id"
        )


def _insert(
    transaction: Transaction, kind: RunKind, spec: FlowRunSpec | TaskRunSpec, initial: ProposedState
) -> Progress:
    state = State(
        id=transaction.new_id(),
        type=initial.type,
        name=initial.name or DEFAULT_NAMES[StateType(initial.type)],
        timestamp=transaction.now,
        message=initial.message,
        data=initial.data,
        scheduled_time=initial.scheduled_time,
        cache_key=initial.cache_key,
        cache_expiration=initial.cache_expiration,
    )
    progress = begin(state, "")
    transaction.driver.execute(
        statements.INSERT_STATE, state_to(kind, spec.id, progress.ordinal, state, 0, "")
    )
    insert_runs(transaction.driver, [RunEntry(kind, spec, progress, created=True)])
    return progress
