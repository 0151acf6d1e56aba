"""One connection with very many calls that wait for a slot: its session stays alive."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import grpc

from clearway.v1.flow_run_pb2 import GetFlowRunRequest
from clearway.v1.proposal_pb2 import SetTaskRunStateRequest
from clearway.v1.session_pb2 import KeepAliveRequest, OpenSessionRequest
from support.client import Client, failure_of
from support.limits import set_limit
from support.proposals import RUNNING, create_flow, create_task, seconds, start
from support.server import Server
from support.waiting import DEADLINE_SECONDS, wait_until


class Waiting(NamedTuple):
    """Calls that wait for a slot, on a connection of their own, and the session that they are made under."""

    client: Client
    calls: list[grpc.Future]
    session: str

    def keep_alive(self) -> bool:
        """Renew the session on the calls' own connection."""
        request = KeepAliveRequest(session_id=self.session)
        return bool(self.client.stub.KeepAlive(request, timeout=DEADLINE_SECONDS).HasField("lease"))


@contextmanager
def waiting(path: Path, count: int, **environment: str) -> Iterator[Waiting]:
    """Make ``count`` calls that wait for the only slot of a tag, which is taken."""
    environment |= {"CLEARWAY_LEASE_SECONDS": "3600"}
    with Server(path / "server.db", environment=environment) as server, Client(server.address) as client:
        tag = set_limit(client, 1)
        flow = create_flow(client).spec.id
        assert client.open().decide(start(flow, tags=[tag])).HasField("accept")
        session = client.stub.OpenSession(OpenSessionRequest(client_name="waiting")).session_id
        runs = [create_task(client, flow, tags=[tag]).spec.id for _ in range(count)]
        with Client(server.address) as theirs:
            asked = {"state": RUNNING, "session_id": session, "wait_timeout": seconds(600)}
            call = theirs.stub.SetTaskRunState.future
            calls = [call(SetTaskRunStateRequest(task_run_id=run, **asked)) for run in runs]
            yield Waiting(theirs, calls, session)


def test_keep_alive_is_served_beside_more_than_a_thousand_calls_that_wait(tmp_path: Path) -> None:
    with waiting(tmp_path, 1_100) as made:
        assert made.keep_alive()
        assert not any(call.done() for call in made.calls)


def test_calls_beyond_the_bytes_of_their_connection_are_busy_and_keep_alive_is_served(tmp_path: Path) -> None:
    count, fit = 200, 128  # 512 KiB are for requests, and a call takes somewhat more than 4 KiB of them
    with waiting(tmp_path, count, CLEARWAY_MAX_CLIENT_BYTES=str(2**20)) as made:
        ended = lambda: [call for call in made.calls if call.done()]  # noqa: E731
        wait_until(lambda: len(ended()) >= count - fit, "the end of those that are too many")
        assert made.keep_alive()
        errors = [call.exception() for call in ended()]
        assert len(errors) < count - fit // 2
        assert {failure_of(error).reason for error in errors} == {"ERROR_REASON_BUSY"}


def test_a_burst_of_calls_is_served_whole(shared_server: Server) -> None:
    with Client(shared_server.address) as client:
        flow = create_flow(client).spec.id
        calls = [client.stub.GetFlowRun.future(GetFlowRunRequest(id=flow)) for _ in range(3_500)]
        assert {call.code() for call in calls} == {grpc.StatusCode.OK}
