"""Runs: creating one without proposing anything for it yet."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Table, select, update

from clearway_service.core.decisions import Ancestor
from clearway_service.core.runs import FlowRunSpec, Progress, RunKind, TaskRunSpec, begin
from clearway_service.core.snapshot import RunEntry
from clearway_service.core.states import DEFAULT_NAMES, ProposedState, State, StateType
from clearway_service.errors import InvalidArgumentError, RunConflictError, RunNotFoundError
from clearway_service.store import schema, statements
from clearway_service.store.ancestors import Entangled, select_entangled, select_followers
from clearway_service.store.rows import flow_run_from, state_to, task_run_from
from clearway_service.store.transaction import Transaction
from clearway_service.store.writing import insert_runs

_task = schema.task_run

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
        if _is_taken(transaction, _task, spec.id):
            raise RunConflictError(
                f"id {spec.id} is a task run's; make a new UUID for each run", "flow_run.id"
            )
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
        flow = schema.flow_run
        if _is_taken(transaction, table, spec.id) or _is_taken(transaction, flow, spec.id):
            raise RunConflictError(
                f"id {spec.id} is another run's; make a new UUID for each run", "task_run.id"
            )
        if not _is_taken(transaction, flow, spec.flow_run_id):
            raise RunNotFoundError(f"no flow run has the id {spec.flow_run_id}", "task_run.flow_run_id")
        return spec, _insert(transaction, RunKind.TASK, spec, initial), True

    return command


def _is_taken(transaction: Transaction, table: Table, run_id: str) -> bool:
    """Return whether a run of a table has an id."""
    query = select(table.c.id).where(table.c.id == run_id)
    return transaction.connection.scalar(query) is not None


def note_awaits(awaits: list[tuple[str, str]]) -> Callable[[Transaction], None]:
    """Return the command that notes pairs of task runs: the code of the first waits for the second.

    What waits for a slot that one whose code waits for it holds is told to the transaction.
    """

    def command(transaction: Transaction) -> None:
        connection = transaction.connection
        for task_run_id, awaited in awaits:
            connection.execute(update(_task).where(_task.c.id == task_run_id).values(awaits=awaited))
        if begun := [awaited for _task_run_id, awaited in awaits if awaited]:
            for run_id, name, *ancestor in connection.execute(select_entangled(begun)):
                transaction.entangled.append(Entangled(run_id, name, Ancestor(*ancestor)))
            # Whoever computes their key may wait for them by now.
            transaction.woken_runs.update(connection.scalars(select_followers(begun)))

    return command


def _adopt_child(transaction: Transaction, spec: FlowRunSpec) -> None:
    parent, field = _task.c.id == spec.parent_task_run_id, "flow_run.parent_task_run_id"
    tracks = transaction.connection.scalar(select(_task.c.tracks_subflow).where(parent))
    if tracks is None:
        raise RunNotFoundError(f"no task run has the id {spec.parent_task_run_id}", field)
    if not tracks:
        # It would follow the subflow into Running without a slot of its own.
        raise InvalidArgumentError(
            f"{field} is {spec.parent_task_run_id}; it must be a task run with tracks_subflow", field
        )
    transaction.connection.execute(update(_task).where(parent).values(child_flow_run_id=spec.id))


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
