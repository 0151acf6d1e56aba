"""Hundreds of runs under a limit while processes are killed at random: the invariants hold."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from clearway.v1.concurrency_limit_pb2 import SetConcurrencyLimitRequest
from clearway.v1.flow_run_pb2 import CreateFlowRunRequest, FlowRunSpec
from clearway_service.service import Service
from clearway_service.settings import ServiceSettings
from support.client import Client
from support.crowd import Crowd
from support.limits import set_limit
from support.proposals import create_flow, new_id
from support.server import Server
from support.workers import Worker

SIZE = 3
LIMIT = 4
TAG = "stormy"


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.mark.parametrize("seed", [7, 8, 9])
def test_the_limit_holds_while_clients_and_the_server_are_killed(
    impatient_server: Server, stack: ExitStack, seed: int
) -> None:
    chance, server = random.Random(seed), impatient_server
    with Client(server.address) as client:
        flow = create_flow(client).spec.id
        set_limit(client, LIMIT, TAG)

    def launch(number: int, keys: str) -> Worker:
        return Worker("support.striving", server.address, flow, TAG, f"client {number}", keys)

    crowd = Crowd(launch, SIZE, 25, stack)
    deeds = ["client", "server", "both", "client"]
    chance.shuffle(deeds)
    for deed in deeds:
        crowd.await_accepts(chance.randrange(5, 25))
        if deed in ("client", "both"):
            crowd.replace(chance)
        if deed in ("server", "both"):
            server.kill()
            server.start()
    crowd.finish()
    crowd.check(server.database, TAG, LIMIT)
    assert not [line for line in server.log if '"level": "error"' in line]


@pytest.mark.parametrize("seed", [1, 2])
def test_the_limit_holds_while_processes_on_one_file_are_killed(
    tmp_path: Path, stack: ExitStack, seed: int
) -> None:
    chance, database = random.Random(seed), tmp_path / "shared.db"
    flow = prepare(database)

    def launch(number: int, keys: str) -> Worker:
        return Worker("support.striving_embedded", str(database), flow, TAG, f"process {number}", keys)

    crowd = Crowd(launch, SIZE, 120, stack)
    for _ in range(4):
        crowd.await_accepts(chance.randrange(20, 100))
        crowd.replace(chance)
    crowd.finish()
    crowd.check(database, TAG, LIMIT)


def prepare(database: Path) -> str:
    """Set the limit and create a flow run; return its id."""
    flow = new_id()

    async def create(service: Service) -> None:
        await service.orchestrator.SetConcurrencyLimit(SetConcurrencyLimitRequest(tag=TAG, limit=LIMIT))
        request = CreateFlowRunRequest(flow_run=FlowRunSpec(id=flow, flow_name="flow"))
        await service.orchestrator.CreateFlowRun(request)

    service = Service(ServiceSettings(database=database))
    asyncio.run(create(service))
    service.close()
    return flow
