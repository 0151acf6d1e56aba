"""What the tests of the engine within this process share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from clearway.v1.concurrency_limit_pb2 import CreateConcurrencyLimitRequest
from clearway.v1.flow_run_pb2 import CreateFlowRunRequest, FlowRunSpec
from clearway.v1.task_run_pb2 import GetTaskRunRequest, ListTaskRunStatesRequest, TaskRun
from clearway_service.engine.budget import Caller
from clearway_service.engine.clock import Clock, system_clock
from clearway_service.service import Service as RealService
from clearway_service.settings import ServiceSettings
from support.local import LocalClient
from support.waiting import DEADLINE_SECONDS


class Service(RealService):
    """A service, and the unary calls that the tests make of it, from outside of any event loop."""

    def __init__(self, settings: ServiceSettings, clock: Clock = system_clock) -> None:
        self.database = settings.database
        super().__init__(settings, clock)
        self.flow = self.call("CreateFlowRun", CreateFlowRunRequest(flow_run=FlowRunSpec(flow_name="flow")))
        self.flow_id: str = self.flow.flow_run.id

    def call(self, method: str, request: Any) -> Any:
        """Make a unary call."""

        async def make() -> Any:
            try:
                return await asyncio.wait_for(getattr(self.orchestrator, method)(request), DEADLINE_SECONDS)
            finally:
                await self.close_reader()

        return asyncio.run(make())

    def client(self, name: str = "local", caller: Caller | None = None) -> LocalClient:
        """Connect."""
        return LocalClient(self, name, caller)

    def limit(self, tag: str, slots: int) -> None:
        """Set the limit of a tag."""
        self.call("CreateConcurrencyLimit", CreateConcurrencyLimitRequest(tag=tag, limit=slots))

    def task(self, task_run_id: str) -> TaskRun:
        """Return a task run."""
        run: TaskRun = self.call("GetTaskRun", GetTaskRunRequest(id=task_run_id)).task_run
        return run

    def names(self, task_run_id: str) -> list[str]:
        """Return the names of a task run's states, in order."""
        answer = self.call("ListTaskRunStates", ListTaskRunStatesRequest(task_run_id=task_run_id))
        return [state.name for state in answer.states]


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """Open an engine on a database of its own, with one flow run."""
    made = Service(ServiceSettings(database=tmp_path / "clearway.db"))
    yield made
    made.close()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Open an engine as ``service`` does, but with a clock and settings of the test's choice."""
    with ExitStack() as stack:

        def make(clock: Clock, **settings: Any) -> Service:
            made = Service(ServiceSettings(database=tmp_path / "clearway.db", **settings), clock)
            stack.callback(made.close)
            return made

        yield make
