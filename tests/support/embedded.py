"""A process with its own engine on a shared file: ``DATABASE LEASE hold|work FLOW TAG COUNT``.

``work`` runs ``COUNT`` tasks and ends. ``hold`` starts one, and then proposes each state whose type it reads.
On ``HOG SECONDS`` it holds the GIL for that long, as some native code does, so that none of its threads run.
"""

from __future__ import annotations

import ctypes
import json
import queue
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from clearway.v1.proposal_pb2 import Decision, Hello, Proposal, ProposeResponse
from clearway.v1.state_pb2 import ProposedState, StateType
from clearway_service.api.session_connection import Connection
from clearway_service.service import Service
from clearway_service.settings import ServiceSettings
from support.proposals import COMPLETED, move, start


def _tell(**what: Any) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def _final(inbox: queue.SimpleQueue[Decision]) -> Decision:
    while (decision := inbox.get()).wait.queued:
        _tell(waits=decision.run_id)
    return decision


def _hold(connection: Connection, inbox: queue.SimpleQueue[Decision], flow: str, tag: str) -> None:
    connection.propose([start(flow, tags=[tag])])
    run_id = _final(inbox).run_id
    _tell(holds=run_id)
    for line in sys.stdin:
        if line.startswith("HOG"):
            # PyDLL holds the GIL during the call, unlike CDLL.
            ctypes.PyDLL(None).usleep(round(float(line.split()[1]) * 1e6))
            _tell(hogged=line.split()[1])
            continue
        connection.propose([move(run_id, ProposedState(type=StateType.Value(f"STATE_TYPE_{line.strip()}")))])
        decision = _final(inbox)
        _tell(
            answer=decision.WhichOneof("answer"),
            message=decision.abort.message,
            state=decision.state.message,
        )


def _work(
    connection: Connection, inbox: queue.SimpleQueue[Decision], flow: str, tag: str, count: int
) -> None:
    starts: list[Proposal] = [start(flow, tags=[tag]) for _ in range(count)]
    waiting = {proposal.id for proposal in starts}
    connection.propose(starts)
    completed = 0
    while completed < count:
        decision = _final(inbox)
        assert decision.HasField("accept"), decision
        if decision.proposal_id in waiting:
            connection.propose([move(decision.run_id, COMPLETED)])
        else:
            completed += 1
    _tell(completed=completed)


def main(database: str, lease: str, mode: str, flow: str, tag: str, count: str) -> None:
    """Run with the arguments of the command line."""
    inbox: queue.SimpleQueue[Decision] = queue.SimpleQueue()

    def deliver(response: ProposeResponse) -> None:
        for decision in response.decisions:
            inbox.put(decision)

    service = Service(ServiceSettings(database=Path(database), lease=timedelta(seconds=float(lease))))
    connection = service.connector.connect(Hello(client_name=f"embedded {mode}"), deliver)
    if mode == "hold":
        _hold(connection, inbox, flow, tag)
    else:
        _work(connection, inbox, flow, tag, int(count))
    connection.close()
    service.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
