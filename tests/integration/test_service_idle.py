"""An engine whose clients have gone waits for nothing and looks for nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from clearway.v1.concurrency_limit_pb2 import CreateConcurrencyLimitRequest
from clearway.v1.flow_run_pb2 import CreateFlowRunRequest, FlowRunSpec
from clearway.v1.proposal_pb2 import Decision, Hello, ProposeResponse
from clearway_service.api.session_connection import Connection
from clearway_service.service import Service
from clearway_service.settings import ServiceSettings
from support.database import locked
from support.proposals import new_id, start
from support.waiting import wait_until

TAG = "full"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    settings = ServiceSettings(
        database=tmp_path / "engine.db", lease=timedelta(seconds=1), broken_stream_grace=timedelta(0)
    )
    service = Service(settings)
    yield service
    service.close()


@pytest.fixture
def flow(service: Service) -> str:
    async def create() -> str:
        limit = CreateConcurrencyLimitRequest(tag=TAG, limit=1)
        await service.orchestrator.CreateConcurrencyLimit(limit)
        request = CreateFlowRunRequest(flow_run=FlowRunSpec(id=new_id(), flow_name="flow"))
        return (await service.orchestrator.CreateFlowRun(request)).flow_run.id

    return asyncio.run(create())


def one_runs_and_one_waits(service: Service, flow: str, *, remote: bool) -> Connection:
    decisions: list[Decision] = []
    expired: list[Connection] = []

    def take(response: ProposeResponse) -> None:
        decisions.extend(response.decisions)

    connection = service.connector.connect(Hello(), take, expired.append if remote else None)
    connection.propose([start(flow, tags=[TAG]), start(flow, tags=[TAG])])
    wait_until(lambda: len(decisions) == 2, "two decisions")
    assert service.engine.pipeline.waiting == 1
    return connection


@pytest.mark.parametrize("remote", [True, False], ids=["remote", "local"])
def test_a_client_that_says_goodbye_leaves_nobody_waiting(
    service: Service, flow: str, *, remote: bool
) -> None:
    one_runs_and_one_waits(service, flow, remote=remote).close()
    wait_until(lambda: service.engine.pipeline.waiting == 0, "an engine without waiters")


def test_a_client_that_is_lost_leaves_nobody_waiting(service: Service, flow: str) -> None:
    one_runs_and_one_waits(service, flow, remote=True).lose()
    wait_until(lambda: service.engine.pipeline.waiting == 0, "an engine without waiters")


def test_a_client_that_falls_silent_leaves_nobody_waiting(service: Service, flow: str) -> None:
    one_runs_and_one_waits(service, flow, remote=True)
    wait_until(lambda: service.engine.pipeline.waiting == 0, "an engine without waiters")


def test_one_that_waits_no_longer_for_its_answers_does_not_keep_them_from_others(
    service: Service, flow: str
) -> None:
    connection = service.connector.connect(Hello(), lambda _: None)
    with locked(service.engine.settings.database):
        connection.propose([start(flow)])
        gone, here = connection.settled(), connection.settled()
        gone.cancel()
    assert here.result(10) is None
    connection.close()
