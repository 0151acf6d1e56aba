"""Commands on runs: creating one without a proposal, and noting which run another one waits for."""

from __future__ import annotations

import json
from collections.abc import Callable

from clearway_service.core.decisions import Ancestor
from clearway_service.core.runs import FlowRunSpec, Progress, RunKind, TaskRunSpec, begin
from clearway_service.core.snapshot import RunEntry, Stage
from clearway_service.core.states import DEFAULT_NAMES, ProposedState, State, StateType
from clearway_service.errors import InvalidArgumentError, RunConflictError, RunNotFoundError
from clearway_service.store import rendered_statements as statements
from clearway_service.store.bulk import execute_rows
from clearway_service.store.loading_parts import array
from clearway_service.store.resources import resource_from
from clearway_service.store.rows import flow_run_from, state_to, task_run_from
from clearway_service.store.transaction import Entangled, Transaction
from clearway_service.store.writing import insert_runs, refer_to_results

CreatedFlowRun = tuple[FlowRunSpec, Progress, bool]
CreatedTaskRun = tuple[TaskRunSpec, Progress, bool]


def create_flow_run(spec: FlowRunSpec, initial: ProposedState) -> Callable[[Transaction], CreatedFlowRun]:
    """Return the command that creates a flow run, or finds the one with the same id."""

    def command(transaction: Transaction) -> CreatedFlowRun:
        ids = (array([spec.id]),)
        row = transaction.driver.execute(statements.FLOW_RUNS_BY_ID, ids).fetchone()
        if row is not None:
            return *flow_run_from(row), False
        if _is_found(transaction, statements.TASK_RUN_IDS, spec.id):
            raise RunConflictError(
                f"id {spec.id} is a task run's; make a new UUID for each run", "flow_run.id", run_id=spec.id
            )
        if spec.parent_task_run_id:
            _adopt_child(transaction, spec)
        return spec, _insert(transaction, RunKind.FLOW, spec, initial), True

    return command


def create_task_run(spec: TaskRunSpec, initial: ProposedState) -> Callable[[Transaction], CreatedTaskRun]:
    """Return the command that creates a task run, or finds the one with the same keys."""

    def command(transaction: Transaction) -> CreatedTaskRun:
        keys = (json.dumps([(spec.flow_run_id, spec.task_key, spec.dynamic_key)]),)
        row = transaction.driver.execute(statements.TASK_RUNS_BY_KEY, keys).fetchone()
        if row is not None:
            return *task_run_from(row), False
        if any(
            _is_found(transaction, ids, spec.id) for ids in (statements.TASK_RUN_IDS, statements.FLOW_RUN_IDS)
        ):
            raise RunConflictError(
                f"id {spec.id} is another run's; make a new UUID for each run", "task_run.id", run_id=spec.id
            )
        if not _is_found(transaction, statements.FLOW_RUN_IDS, spec.flow_run_id):
            raise RunNotFoundError(
                f"no flow run has the id {spec.flow_run_id}", "task_run.flow_run_id", run_id=spec.flow_run_id
            )
        return spec, _insert(transaction, RunKind.TASK, spec, initial), True

    return command


def _is_found(transaction: Transaction, sql: str, run_id: str) -> bool:
    """Return whether a statement for runs by id finds any."""
    return transaction.driver.execute(sql, (array([run_id]),)).fetchone() is not None


def note_awaits(awaits: list[tuple[str, str]]) -> Callable[[Transaction], None]:
    """Return the command that notes pairs of task runs: the code of the first waits for the second.

    Runs that wait for a slot held by their own ancestor are added to the transaction's ``entangled``.
    """

    def command(transaction: Transaction) -> None:
        driver = transaction.driver
        # The last entry for each run: a statement of many rows would pick any.
        rows = [(awaited, id_) for id_, awaited in dict(awaits).items()]
        execute_rows(driver, statements.SET_AWAITS, rows)
        if begun := [awaited for _task_run_id, awaited in awaits if awaited]:
            for run_id, name, id_, of, held in driver.execute(statements.ENTANGLED, (array(begun),)):
                ancestor = Ancestor(id_, of, resource_from(held))
                transaction.entangled.append(Entangled(run_id, name, ancestor))
            # Runs that compute a follower's key may be waiting for the follower by now.
            followers = driver.execute(statements.FOLLOWERS, (array(begun),))
            transaction.woken_runs.update(run_id for (run_id,) in followers)

    return command


def _adopt_child(transaction: Transaction, spec: FlowRunSpec) -> None:
    parent, field = spec.parent_task_run_id, "flow_run.parent_task_run_id"
    row = transaction.driver.execute(statements.TRACKS_SUBFLOW, (parent,)).fetchone()
    if row is None:
        raise RunNotFoundError(f"no task run has the id {parent}", field, run_id=parent)
    if not row[0]:
        # It would follow the subflow into Running without a slot of its own.
        raise InvalidArgumentError(
            f"{field} is {spec.parent_task_run_id}; it must be a task run with tracks_subflow", field
        )
    transaction.driver.execute(statements.SET_CHILD, (spec.id, parent))


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
    progress = begin(state, "", transaction.steady)
    transaction.driver.execute(
        statements.INSERT_STATE, state_to(kind, spec.id, progress.ordinal, state, 0, "")
    )
    refer_to_results(transaction.driver, [state])
    insert_runs(transaction.driver, [RunEntry(kind, spec, progress, Stage.CREATED)])
    return progress
