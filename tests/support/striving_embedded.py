"""A process that retries until its runs are finished, with its own service: ``DATABASE FLOW TAG NAME KEYS``.

The file is shared with similar processes, any of which may be killed. It starts a run for each key,
completes those that may run, and reports each accept before it does anything else. If it is killed, a
successor with the same keys continues.
"""

from __future__ import annotations

import json
import queue
import sys
import time
from collections import deque
from pathlib import Path

from clearway.v1.proposal_pb2 import ABORT_REASON_TERMINAL, Decision, Hello, Proposal, ProposeResponse
from clearway_service.service import Service
from clearway_service.settings import ServiceSettings
from support.proposals import COMPLETED, RUNNING, move, new_id, task_spec

_IN_FLIGHT = 8
_PAUSE_SECONDS = 0.05


class EmbeddedStriver:
    """Runs keys to their end.

    Args:
        service: The process's own service.
        flow: The flow run that the task runs belong to.
        tag: Their tag.
        name: The client's name.
        keys: The dynamic keys of the runs.
    """

    def __init__(self, service: Service, flow: str, tag: str, name: str, keys: list[str]) -> None:
        self._flow, self._tag = flow, tag
        self._todo = deque(keys)
        self._open: dict[str, tuple[str, bool]] = {}
        self._inbox: queue.SimpleQueue[Decision] = queue.SimpleQueue()
        self._connection = service.connector.connect(Hello(client_name=name), self._deliver)

    def _deliver(self, response: ProposeResponse) -> None:
        for decision in response.decisions:
            self._inbox.put(decision)

    def work(self) -> None:
        """Run until each run has ended."""
        while self._todo or self._open:
            while self._todo and len(self._open) < _IN_FLIGHT:
                self._start(self._todo.popleft())
            self._take(self._inbox.get())
        self._connection.close()

    def _start(self, key: str) -> None:
        spec = task_spec(self._flow, dynamic_key=key, tags=[self._tag])
        self._propose(key, Proposal(id=new_id(), create_task_run=spec, state=RUNNING), starts=True)

    def _propose(self, key: str, proposal: Proposal, *, starts: bool) -> None:
        self._open[proposal.id] = (key, starts)
        self._connection.propose([proposal])

    def _take(self, decision: Decision) -> None:
        if decision.wait.queued:
            return
        key, starts = self._open.pop(decision.proposal_id)
        if decision.HasField("accept"):
            state = RUNNING if starts else COMPLETED
            _tell({"accept": [decision.proposal_id, decision.run_id, int(state.type)]})
            if starts:
                self._propose(key, move(decision.run_id, COMPLETED), starts=False)
        elif decision.HasField("abort") and decision.abort.reason != ABORT_REASON_TERMINAL:
            # The killed process is not yet known to be dead.
            time.sleep(_PAUSE_SECONDS)
            self._start(key)
        elif not decision.HasField("abort"):
            raise AssertionError(f"unexpected decision: {decision}")


def _tell(what: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def main(database: str, flow: str, tag: str, name: str, keys: str) -> None:
    """Run with the arguments of the command line."""
    service = Service(ServiceSettings(database=Path(database)))
    EmbeddedStriver(service, flow, tag, name, keys.split(",")).work()
    service.close()
    _tell({"done": name})


if __name__ == "__main__":
    main(*sys.argv[1:])
