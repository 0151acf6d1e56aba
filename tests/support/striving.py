"""A client process that retries until its runs are finished: ``ADDRESS FLOW TAG NAME KEYS``.

It starts a run for each key, completes those that may run, and reports each accept before it does anything
else. If it is killed, a successor with the same keys continues.
"""

from __future__ import annotations

import json
import queue
import sys
import time
from collections import deque

import grpc

from clearway.v1.proposal_pb2 import ABORT_REASON_TERMINAL, Decision, Proposal
from support.client import Client, EndedError, Stream
from support.proposals import COMPLETED, RUNNING, move, new_id, task_spec

_IN_FLIGHT = 8
_PAUSE_SECONDS = 0.05
_PING_SECONDS = 0.2


class Striver:
    """Runs keys to their end.

    Args:
        address: The server's address.
        flow: The flow run that the task runs belong to.
        tag: Their tag.
        name: The client's name.
        keys: The dynamic keys of the runs.
    """

    def __init__(self, address: str, flow: str, tag: str, name: str, keys: list[str]) -> None:
        self._client = Client(address)
        self._flow, self._tag, self._name = flow, tag, name
        self._todo = deque(keys)
        self._open: dict[str, tuple[str, Proposal]] = {}
        self._stream: Stream | None = None
        self._session = ""

    def work(self) -> None:
        """Run until each run has ended."""
        while self._todo or self._open:
            stream = self._stream or self._connect()
            while self._todo and len(self._open) < _IN_FLIGHT:
                self._propose(stream, self._todo.popleft(), None)
            try:
                decision = stream.inbox.get(timeout=_PING_SECONDS)
            except queue.Empty:
                stream.send_ping()
                continue
            if decision is None:
                self._lose(stream)
            else:
                self._take(stream, decision)
        if self._stream is not None:
            self._stream.say_goodbye()

    def _connect(self) -> Stream:
        """Open a stream, resuming the session if it is alive, and send open proposals again."""
        while True:
            try:
                stream = self._client.open(self._name, self._session)
            except EndedError as error:
                # The server is down, or the session has ended and proposals are sent under a new one.
                if error.end.reason == "ERROR_REASON_SESSION_EXPIRED":
                    self._session = ""
                time.sleep(_PAUSE_SECONDS)
            else:
                break
        self._stream = stream
        resumed = stream.session_id == self._session
        self._session = stream.session_id
        for key, proposal in [self._open.pop(id_) for id_ in list(self._open)]:
            if resumed:
                self._open[proposal.id] = (key, proposal)
                stream.propose(proposal)
            else:
                self._propose(stream, key, proposal)
        return stream

    def _lose(self, stream: Stream) -> None:
        self._stream = None
        if stream.end().reason == "ERROR_REASON_SESSION_EXPIRED":
            self._session = ""

    def _propose(self, stream: Stream, key: str, before: Proposal | None) -> None:
        """Propose to start a run, or send the proposal ``before`` again under a new id."""
        if before is None:
            spec = task_spec(self._flow, dynamic_key=key, tags=[self._tag])
            proposal = Proposal(id=new_id(), create_task_run=spec, state=RUNNING)
        else:
            proposal = Proposal()
            proposal.CopyFrom(before)
            proposal.id = new_id()
        self._open[proposal.id] = (key, proposal)
        stream.propose(proposal)

    def _take(self, stream: Stream, decision: Decision) -> None:
        answer = decision.WhichOneof("answer")
        if decision.wait.queued or decision.proposal_id not in self._open:
            return
        key, proposal = self._open.pop(decision.proposal_id)
        if answer == "accept":
            _tell({"accept": [decision.proposal_id, decision.run_id, int(proposal.state.type)]})
            if proposal.state.type == RUNNING.type:
                done = move(decision.run_id, COMPLETED)
                self._open[done.id] = (key, done)
                stream.propose(done)
        elif answer == "abort" and decision.abort.reason != ABORT_REASON_TERMINAL:
            # A dead client's lease has not expired yet.
            time.sleep(_PAUSE_SECONDS)
            self._propose(stream, key, proposal)
        elif answer == "error":
            self._propose(stream, key, proposal)
        elif answer != "abort":
            raise AssertionError(f"unexpected decision: {decision}")


def _tell(what: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def main(address: str, flow: str, tag: str, name: str, keys: str) -> None:
    """Run with the arguments of the command line."""
    Striver(address, flow, tag, name, keys.split(",")).work()
    _tell({"done": name})


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except grpc.RpcError as error:
        sys.exit(f"a call failed: {error}")
