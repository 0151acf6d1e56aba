"""RPCs about task runs."""

from __future__ import annotations

from operator import itemgetter

from clearway.v1 import task_run_pb2
from clearway_service import store
from clearway_service.api import rendering as render
from clearway_service.api.base import Handlers
from clearway_service.api.filters import parse_task_run_filter
from clearway_service.api.pages import Page
from clearway_service.api.parsing import parse_initial_state, parse_task_run_spec, uuid_of
from clearway_service.core.runs import RunKind, TaskRunSpec
from clearway_service.core.states import State
from clearway_service.errors import RunNotFoundError
from clearway_service.store.rows import task_run_from
from clearway_service.store.runs import create_task_run


class TaskRunHandlers(Handlers):
    """RPCs about task runs."""

    async def CreateTaskRun(  # noqa: N802 - the RPC's name
        self, request: task_run_pb2.CreateTaskRunRequest
    ) -> task_run_pb2.CreateTaskRunResponse:
        """Create a task run, or return the existing one with the same id."""
        spec = parse_task_run_spec(request.task_run)
        initial = parse_initial_state(request)
        spec, progress, created = await self._run(create_task_run(spec, initial))
        return task_run_pb2.CreateTaskRunResponse(
            task_run=render.render_task_run(spec, progress), created=created
        )

    async def GetTaskRun(  # noqa: N802
        self, request: task_run_pb2.GetTaskRunRequest
    ) -> task_run_pb2.GetTaskRunResponse:
        """Return one task run."""
        run_id = uuid_of(request.id)
        rows = await self._read(store.queries.select_run(RunKind.TASK, run_id))
        if not rows:
            raise _not_found(run_id, "id")
        return task_run_pb2.GetTaskRunResponse(task_run=render.render_task_run(*task_run_from(rows[0])))

    async def ListTaskRuns(  # noqa: N802
        self, request: task_run_pb2.ListTaskRunsRequest
    ) -> task_run_pb2.ListTaskRunsResponse:
        """Return a page of task runs, newest first."""
        page = Page.of(request)
        wanted = parse_task_run_filter(request.filter)
        query = store.queries.select_run_page(RunKind.TASK, wanted, page.after_number, page.size + 1)
        runs, token = await self._read_list(
            query, page, lambda row: render.render_task_run(*task_run_from(row[1:])), itemgetter(0)
        )
        return task_run_pb2.ListTaskRunsResponse(task_runs=runs, next_page_token=token)

    async def ListTaskRunStates(  # noqa: N802
        self, request: task_run_pb2.ListTaskRunStatesRequest
    ) -> task_run_pb2.ListTaskRunStatesResponse:
        """Return a page of a task run's history."""
        page = Page.of(request, 0)
        run_id = uuid_of(request.task_run_id)
        runs = await self._read(store.queries.select_run(RunKind.TASK, run_id))
        if not runs:
            raise _not_found(run_id, "task_run_id")
        spec: TaskRunSpec = task_run_from(runs[0])[0]
        query = store.queries.select_history(RunKind.TASK, run_id, page.after_number, page.size + 1)
        states, token = await self._read_list(
            query, page, lambda row: render.render_state(State(*row[1:]), spec), itemgetter(0)
        )
        return task_run_pb2.ListTaskRunStatesResponse(states=states, next_page_token=token)


def _not_found(run_id: str, field: str) -> RunNotFoundError:
    return RunNotFoundError(f"no task run has the id {run_id}", field, run_id=run_id)
