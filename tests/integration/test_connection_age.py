"""A server that closes connections when they are old: their clients come back, and nothing is lost."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from grpc import StatusCode

from clearway import flow, get_client, task
from support.client import Client
from support.proposals import COMPLETED, create_flow, move, names, start
from support.server import Server

YOUNG = {"CLEARWAY_MAX_CONNECTION_AGE_SECONDS": "0.5", "CLEARWAY_SHUTDOWN_GRACE_SECONDS": "0.2"}


@pytest.fixture(scope="module")
def young_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("young") / "server.db", environment=YOUNG) as running:
        yield running


# As clients of such a server should: a call that meets the end of its connection is made again.
RETRYING = json.dumps(
    {
        "methodConfig": [
            {
                "name": [{"service": "clearway.v1.Orchestrator"}],
                "retryPolicy": {
                    "maxAttempts": 5,
                    "initialBackoff": "0.05s",
                    "maxBackoff": "1s",
                    "backoffMultiplier": 2,
                    "retryableStatusCodes": ["UNAVAILABLE"],
                },
            }
        ]
    }
)


def test_a_stream_on_an_old_connection_is_cut_and_resumed(young_server: Server) -> None:
    with Client(young_server.address, [("grpc.service_config", RETRYING)]) as client:
        stream = client.open()
        run = stream.decide(start(create_flow(client).spec.id)).run_id
        assert stream.end().code == StatusCode.UNAVAILABLE
        back = client.open(resume=stream.session_id)
        assert back.decide(move(run, COMPLETED)).HasField("accept")
        assert names(client, run) == ["Running", "Completed"]


def test_a_flow_outlives_the_connections_that_it_began_on(
    young_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLEARWAY_ADDRESS", young_server.address)

    @task
    def patient() -> int:
        with Client(young_server.address) as client:
            for _ in range(3):  # each of these has a connection's whole life
                client.open().end()
        return 7

    @flow
    def main() -> str:
        state = patient.submit().wait()
        assert state is not None
        assert state.result() == 7
        return state.details.task_run_id

    run_id = main()
    with get_client() as client:
        assert [state.name for state in client.read_task_run_states(run_id)] == ["Running", "Completed"]
