"""Lists: they leave connections for single rows, and each client has its turn."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from clearway.v1.flow_run_pb2 import CreateFlowRunRequest, FlowRunSpec, GetFlowRunRequest, ListFlowRunsRequest
from clearway_service.engine.budget import Budget, Call, current_call
from clearway_service.service import Service
from clearway_service.settings import ServiceSettings
from clearway_service.turns import Turns
from support.proposals import new_id

LISTS, ROWS = 60, 1_000


async def opened(path: Path, rows: int = ROWS, **more: Any) -> Service:
    service = await asyncio.to_thread(Service, ServiceSettings(database=path / "clearway.db"))
    specs = [FlowRunSpec(id=new_id(), flow_name="flow", **more) for _ in range(rows)]
    create = service.orchestrator.CreateFlowRun
    await asyncio.gather(*(create(CreateFlowRunRequest(flow_run=spec)) for spec in specs))
    return service


async def closed(service: Service) -> None:
    await asyncio.to_thread(service.close)
    await service.close_reader()


async def test_a_single_row_is_read_before_the_lists_that_were_asked_for_earlier(tmp_path: Path) -> None:
    service = await opened(tmp_path)
    (some,) = (await service.orchestrator.ListFlowRuns(ListFlowRunsRequest(page_size=1))).flow_runs
    ended: list[str] = []

    async def ask(name: str, call: Callable[[Any], Any], request: Any) -> None:
        await call(request)
        ended.append(name)

    lists = ListFlowRunsRequest(page_size=ROWS)
    asked = [asyncio.create_task(ask("list", service.orchestrator.ListFlowRuns, lists)) for _ in range(LISTS)]
    await asyncio.sleep(0)  # all of them have begun
    await ask("row", service.orchestrator.GetFlowRun, GetFlowRunRequest(id=some.id))
    await asyncio.gather(*asked)
    assert ended.index("row") <= LISTS // 10
    await closed(service)


async def test_a_client_s_only_list_waits_for_few_of_one_that_asks_for_many(tmp_path: Path) -> None:
    service = await opened(tmp_path)
    budget = Budget(2**28, 2**25)
    ended: list[str] = []

    async def ask(name: str, call: Call) -> None:
        current_call.set(call)
        await service.orchestrator.ListFlowRuns(ListFlowRunsRequest(page_size=ROWS))
        ended.append(name)

    many, one = Call(budget.caller(), 0), Call(budget.caller(), 0)
    asked = [asyncio.create_task(ask("many", many)) for _ in range(LISTS)]
    await asyncio.sleep(0)
    await asyncio.gather(*asked, ask("one", one))
    assert ended.index("one") <= LISTS // 10
    await closed(service)


async def test_a_list_of_more_than_is_fetched_at_once_is_whole(tmp_path: Path) -> None:
    rows, size = 12, 500_000
    service = await opened(tmp_path, rows, parameters_json=json.dumps({"text": "x" * size}))
    found: list[str] = []
    request = ListFlowRunsRequest()
    while not found or request.page_token:
        page = await service.orchestrator.ListFlowRuns(request)
        found += [run.id for run in page.flow_runs]
        request.page_token = page.next_page_token
    assert len(set(found)) == len(found) == rows
    await closed(service)


async def test_lists_that_are_given_up_leave_their_turns_and_connections_to_others(tmp_path: Path) -> None:
    service = await opened(tmp_path)
    lists = ListFlowRunsRequest(page_size=ROWS)
    for steps in range(20):  # each at another moment
        asked = [asyncio.create_task(service.orchestrator.ListFlowRuns(lists)) for _ in range(5)]
        for _ in range(steps):
            await asyncio.sleep(0)
        for each in asked:
            each.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
    assert len((await service.orchestrator.ListFlowRuns(lists)).flow_runs) == ROWS
    await closed(service)


async def test_turns_are_given_in_rotation_and_are_not_lost_with_those_that_leave() -> None:
    turns, had = Turns(1), []

    async def have(client: str) -> None:
        async with turns.turn(client):
            await asyncio.sleep(0)
            had.append(client)

    await turns.begin("first")
    waiting = [asyncio.create_task(have(client)) for client in "aaabbc"]
    await asyncio.sleep(0)
    waiting[1].cancel()
    turns.end()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert had == ["a", "b", "c", "a", "b"]
    async with turns.turn("last"):
        pass
