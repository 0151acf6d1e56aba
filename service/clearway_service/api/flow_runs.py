"""RPCs about flow runs."""

from __future__ import annotations

from operator import itemgetter

from clearway.v1 import flow_run_pb2
from clearway_service import store
from clearway_service.api import rendering as render
from clearway_service.api.base import Handlers
from clearway_service.api.filters import parse_flow_run_filter
from clearway_service.api.pages import Page
from clearway_service.api.parsing import parse_flow_run_spec, parse_initial_state, uuid_of
from clearway_service.core.runs import FlowRunSpec, RunKind
from clearway_service.core.states import State
from clearway_service.errors import RunNotFoundError
from clearway_service.store.rows import flow_run_from
from clearway_service.store.runs import create_flow_run


class FlowRunHandlers(Handlers):
    """RPCs about flow runs."""

    async def CreateFlowRun(  # noqa: N802 - the RPC's name
        self, request: flow_run_pb2.CreateFlowRunRequest
    ) -> flow_run_pb2.CreateFlowRunResponse:
        """Create a flow run, or return the existing one with the same id."""
        spec = parse_flow_run_spec(request.flow_run)
        initial = parse_initial_state(request)
        spec, progress, created = await self._run(create_flow_run(spec, initial))
        return flow_run_pb2.CreateFlowRunResponse(
            flow_run=render.render_flow_run(spec, progress), created=created
        )

    async def GetFlowRun(  # noqa: N802
        self, request: flow_run_pb2.GetFlowRunRequest
    ) -> flow_run_pb2.GetFlowRunResponse:
        """Return one flow run."""
        run_id = uuid_of(request.id)
        rows = await self._read(store.queries.select_run(RunKind.FLOW, run_id))
        if not rows:
            raise _not_found(run_id, "id")
        return flow_run_pb2.GetFlowRunResponse(flow_run=render.render_flow_run(*flow_run_from(rows[0])))

    async def ListFlowRuns(  # noqa: N802
        self, request: flow_run_pb2.ListFlowRunsRequest
    ) -> flow_run_pb2.ListFlowRunsResponse:
        """Return a page of flow runs, newest first."""
        page = Page.of(request)
        wanted = parse_flow_run_filter(request.filter)
        query = store.queries.select_run_page(RunKind.FLOW, wanted, page.after_number, page.size + 1)
        runs, token = await self._read_list(
            query, page, lambda row: render.render_flow_run(*flow_run_from(row[1:])), itemgetter(0)
        )
        return flow_run_pb2.ListFlowRunsResponse(flow_runs=runs, next_page_token=token)

    async def ListFlowRunStates(  # noqa: N802
        self, request: flow_run_pb2.ListFlowRunStatesRequest
    ) -> flow_run_pb2.ListFlowRunStatesResponse:
        """Return a page of a flow run's history."""
        page = Page.of(request, 0)
        run_id = uuid_of(request.flow_run_id)
        runs = await self._read(store.queries.select_run(RunKind.FLOW, run_id))
        if not runs:
            raise _not_found(run_id, "flow_run_id")
        spec: FlowRunSpec = flow_run_from(runs[0])[0]
        query = store.queries.select_history(RunKind.FLOW, run_id, page.after_number, page.size + 1)
        states, token = await self._read_list(
            query, page, lambda row: render.render_state(State(*row[1:]), spec), itemgetter(0)
        )
        return flow_run_pb2.ListFlowRunStatesResponse(states=states, next_page_token=token)


def _not_found(run_id: str, field: str) -> RunNotFoundError:
    return RunNotFoundError(f"no flow run has the id {run_id}", field, run_id=run_id)
