"""What a batch costs the database does not grow with the number of its proposals."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clearway.v1 import flow_run_pb2, proposal_pb2
from clearway.v1.state_pb2 import STATE_TYPE_COMPLETED, STATE_TYPE_RUNNING, State
from clearway.v1.task_run_pb2 import TaskRunSpec
from clearway_service.clock import new_id
from clearway_service.connection import Connection
from clearway_service.engine import Engine
from clearway_service.settings import ServiceSettings
from support.waiting import DEADLINE_SECONDS


class Counted:
    """An engine that tells which statements a batch of proposals took, rows of bulk statements aside."""

    def __init__(self, engine: Engine) -> None:
        self._driver: Any = engine._database.writer.connection.driver_connection
        self._connection: Connection = engine.connect(
            proposal_pb2.Hello(client_name="counting"), self._decided
        )
        self._left = 0
        self._done = threading.Event()
        request = flow_run_pb2.CreateFlowRunRequest(flow_run=flow_run_pb2.FlowRunSpec(flow_name="flow"))
        self.flow_run_id = asyncio.run(engine.orchestrator.CreateFlowRun(request)).flow_run.id

    def _decided(self, decisions: list[proposal_pb2.Decision]) -> None:
        assert all(decision.HasField("accept") for decision in decisions)
        self._left -= len(decisions)
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

    def statements(self, proposals: list[proposal_pb2.Proposal]) -> list[str]:
        seen: list[str] = []
        self._left = len(proposals)
        self._done.clear()
        self._driver.set_trace_callback(seen.append)
        self._connection.propose(proposals)
        assert self._done.wait(DEADLINE_SECONDS)
        self._driver.set_trace_callback(None)
        kinds = [" ".join(sql.split()[:3]) for sql in seen]
        # A bulk statement is seen once for each of its rows.
        return [
            kind for index, kind in enumerate(kinds) if kind.startswith("SELECT") or kind not in kinds[:index]
        ]


@pytest.fixture
def counted(tmp_path: Path) -> Iterator[Counted]:
    engine = Engine.open(ServiceSettings(database=tmp_path / "engine.db"))
    yield Counted(engine)
    engine.close()


def test_a_batch_of_many_takes_the_statements_of_a_batch_of_one(counted: Counted) -> None:
    one, many = counted.starts(1), counted.starts(500)
    statements = counted.statements(one)
    assert counted.statements(many) == statements
    ends = [
        proposal_pb2.Proposal(
            id=new_id(),
            task_run_id=proposal.create_task_run.id,
            state=State(type=STATE_TYPE_COMPLETED),
        )
        for proposal in (*one, *many)
    ]
    assert counted.statements(ends[1:]) == counted.statements(ends[:1])


def test_starting_a_task_run_takes_a_handful_of_statements(counted: Counted) -> None:
    kinds = [statement.split()[0] for statement in counted.statements(counted.starts(1))]
    assert kinds.count("BEGIN") == kinds.count("COMMIT") == 1
    assert kinds.count("INSERT") == 2
    assert kinds.count("SELECT") <= 7
    assert len(kinds) <= 11
