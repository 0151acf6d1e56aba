"""A client process that holds a slot, and proposes states on command: ``ADDRESS FLOW TAG``."""

from __future__ import annotations

import json
import os
import sys
import threading

from clearway.v1.proposal_pb2 import AbortReason
from clearway.v1.state_pb2 import ProposedState, StateType
from support.client import Client, EndedError
from support.proposals import move, start

_PING_SECONDS = 0.3


def main(address: str, flow: str, tag: str) -> None:
    """Run with the arguments of the command line."""
    client = Client(address)
    name = f"holder {os.getpid()}"
    stream = client.open(name)
    run_id = stream.decide(start(flow, tags=[tag])).run_id
    told = threading.Event()

    def keep_alive() -> None:
        while not told.wait(_PING_SECONDS):
            stream.send_ping()

    threading.Thread(target=keep_alive, daemon=True).start()
    _tell("holds", run_id)
    state = ProposedState(type=StateType.Value(f"STATE_TYPE_{sys.stdin.readline().strip()}"))
    told.set()
    answers = []
    current = stream
    while True:
        try:
            decision = current.decide(move(run_id, state))
        except EndedError as error:
            answers.append([error.end.reason, ""])
            current = client.open(name)
            continue
        if decision.HasField("abort"):
            reason = AbortReason.Name(decision.abort.reason).removeprefix("ABORT_REASON_")
            answers.append([reason, decision.state.message])
        else:
            answers.append([decision.WhichOneof("answer") or "", ""])
        break
    _tell("answers", answers)
    current.say_goodbye()


def _tell(what: str, value: object) -> None:
    sys.stdout.write(json.dumps({what: value}) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
