"""What a batch costs the database does not grow with the number of its proposals."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from clearway.v1 import flow_run_pb2, proposal_pb2
from clearway.v1.state_pb2 import STATE_TYPE_COMPLETED, STATE_TYPE_RUNNING, State
from clearway.v1.task_run_pb2 import TaskRunSpec
from clearway_service.api.session_connection import Connection
from clearway_service.engine.clock import new_id
from clearway_service.service import Service
from clearway_service.settings import ServiceSettings
from support.waiting import DEADLINE_SECONDS

_TRIES = 5


class Counted:
    """An engine that tells which statements a batch of proposals took, rows of bulk statements aside."""

    def __init__(self, service: Service) -> None:
        self._driver: Any = service.engine.database.driver
        self._connection: Connection = service.connector.connect(
            proposal_pb2.Hello(client_name="counting"), self._decided
        )
        self._left = 0
        self._done = threading.Event()
        request = flow_run_pb2.CreateFlowRunRequest(flow_run=flow_run_pb2.FlowRunSpec(flow_name="flow"))
        self.flow_run_id = asyncio.run(service.orchestrator.CreateFlowRun(request)).flow_run.id

    def _decided(self, response: proposal_pb2.ProposeResponse) -> None:
        assert all(decision.HasField("accept") for decision in response.decisions)
        self._left -= len(response.decisions)
        if not self._left:
            self._done.set()

    def starts(self, count: int) -> list[proposal_pb2.Proposal]:
        return [
            proposal_pb2.Proposal(
                id=new_id(),
                create_task_run=TaskRunSpec(
                    id=new_id(), flow_run_id=self.flow_run_id, task_key="task", dynamic_key=str(new_id())
                ),
                state=State(type=STATE_TYPE_RUNNING),
            )
            for _ in range(count)
        ]

    def ends(self, count: int) -> list[proposal_pb2.Proposal]:
        started = self.starts(count)
        self._propose(started)
        return [
            proposal_pb2.Proposal(
                id=new_id(), task_run_id=proposal.create_task_run.id, state=State(type=STATE_TYPE_COMPLETED)
            )
            for proposal in started
        ]

    def statements(self, make: Callable[[], list[proposal_pb2.Proposal]]) -> list[str]:
        """Return the kinds of statements of a batch that follows another one.

        Leases are looked after in turns too: in that of a batch, or in one before it, after which more has to
        be read.
        """
        return min((self._kinds(make) for _ in range(_TRIES)), key=len)

    def _kinds(self, make: Callable[[], list[proposal_pb2.Proposal]]) -> list[str]:
        self._propose(self.starts(1))
        kinds = [" ".join(sql.split()[:3]) for sql in self._turn(make())]
        # A bulk statement is executed a few times for many rows.
        return [
            kind for index, kind in enumerate(kinds) if kind.startswith("SELECT") or kind not in kinds[:index]
        ]

    def _turn(self, batch: list[proposal_pb2.Proposal]) -> list[str]:
        seen: list[str] = []
        self._driver.set_trace_callback(seen.append)
        self._propose(batch)
        self._driver.set_trace_callback(None)
        last = max(index for index, sql in enumerate(seen) if sql.startswith("INSERT INTO state"))
        first = max(index for index in range(last) if seen[index].startswith("BEGIN"))
        return seen[first : seen.index("COMMIT", last) + 1]

    def _propose(self, batch: list[proposal_pb2.Proposal]) -> None:
        self._left = len(batch)
        self._done.clear()
        self._connection.propose(batch)
        assert self._done.wait(DEADLINE_SECONDS)


@pytest.fixture
def counted(tmp_path: Path) -> Iterator[Counted]:
    service = Service(ServiceSettings(database=tmp_path / "engine.db"))
    yield Counted(service)
    service.close()


def test_a_batch_of_many_takes_the_statements_of_a_batch_of_one(counted: Counted) -> None:
    for make in (counted.starts, counted.ends):
        assert counted.statements(partial(make, 500)) == counted.statements(partial(make, 1))


def test_starting_a_task_run_takes_a_handful_of_statements(counted: Counted) -> None:
    kinds = [kind.split()[0] for kind in counted.statements(partial(counted.starts, 1))]
    assert kinds.count("BEGIN") == kinds.count("COMMIT") == 1
    assert kinds.count("INSERT") == 2
    assert kinds.count("SELECT") <= 5
    assert len(kinds) <= 10


def test_ending_a_task_run_takes_a_handful_of_statements(counted: Counted) -> None:
    kinds = [kind.split()[0] for kind in counted.statements(partial(counted.ends, 1))]
    assert kinds.count("BEGIN") == kinds.count("COMMIT") == 1
    assert kinds.count("INSERT") == kinds.count("UPDATE") == 1
    assert kinds.count("SELECT") <= 2
    assert len(kinds) <= 7
