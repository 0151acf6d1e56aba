"""A client with unary calls and a KeepAlive session: ``FOLDER NAME SEED FLOW unary ADDRESS``.

Several threads run jobs sequentially. A failed call is retried with the same proposal id, so that it returns
the decision recorded the first time.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import Any

import grpc

from clearway.v1.proposal_pb2 import ABORT_REASON_TERMINAL, Decision, SetTaskRunStateRequest
from clearway.v1.session_pb2 import KeepAliveRequest, OpenSessionRequest
from clearway.v1.state_pb2 import ProposedState
from clearway.v1.task_run_pb2 import CreateTaskRunRequest
from faults.storm.clients.place import Job, Place
from support.client import Client, failure_of
from support.proposals import COMPLETED, FAILED, RUNNING, new_id, seconds, task_spec, with_result

_THREADS = 3
_RETRIES = 3
_PAUSE_SECONDS = 0.1
_CALL_SECONDS = 5.0
_WAIT_SECONDS = 2.0
_KEEP_ALIVE_SECONDS = 0.7
_BACKOFF = [("grpc.initial_reconnect_backoff_ms", 50), ("grpc.max_reconnect_backoff_ms", 300)]
_BROKEN = frozenset(
    {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED}
)


class _SessionLostError(Exception):
    """The session that a call named has ended."""


class Caller:
    """Completes jobs with unary calls.

    Args:
        place: The client's environment.
        address: The address of the server or a proxy.
        flow: The flow run that all its task runs belong to.
    """

    def __init__(self, place: Place, address: str, flow: str) -> None:
        self._place, self._flow = place, flow
        self._client = Client(address, _BACKOFF)
        self._lock = threading.Lock()
        self._jobs = place.jobs()
        self._session = ""
        self._renew_session("")

    def work(self) -> None:
        """Work until the storm is over and each started job has ended."""
        threading.Thread(target=self._keep_alive, daemon=True).start()
        with ThreadPoolExecutor(_THREADS) as pool:
            for working in [pool.submit(self._work) for _ in range(_THREADS)]:
                working.result()

    def _work(self) -> None:
        for job in self._shared_jobs():
            self._place.record.write(job=job.number)
            self._bring_to_end(job)
            self._place.record.write(done=job.number)

    def _shared_jobs(self) -> Iterator[Job]:
        while True:
            with self._lock:
                job = next(self._jobs, None)
            if job is None:
                return
            yield job

    def _keep_alive(self) -> None:
        while True:
            time.sleep(_KEEP_ALIVE_SECONDS)
            session = self._session
            try:
                self._client.stub.KeepAlive(KeepAliveRequest(session_id=session), timeout=_CALL_SECONDS)
            except grpc.RpcError as error:
                if failure_of(error).reason == "ERROR_REASON_SESSION_EXPIRED":
                    self._renew_session(session)

    def _renew_session(self, before: str) -> None:
        with self._lock:
            if self._session != before:
                return
            opened = self._call("OpenSession", OpenSessionRequest(client_name=self._place.name))
            self._session = opened.session_id
            self._place.record.write(session=self._session)

    def _call(self, method: str, request: Any) -> Any:
        """Retry a call until it succeeds."""
        while True:
            try:
                return getattr(self._client.stub, method)(request, timeout=_CALL_SECONDS)
            except grpc.RpcError as error:
                failure = failure_of(error)
            if failure.reason == "ERROR_REASON_SESSION_EXPIRED":
                raise _SessionLostError
            if failure.code not in _BROKEN and "Stream removed" not in failure.message:
                self._place.record.write(unexpected=f"{method} failed: {failure}")
            time.sleep(_PAUSE_SECONDS)

    def _bring_to_end(self, job: Job) -> None:
        spec = task_spec(
            self._flow,
            dynamic_key=f"{self._place.name}-{job.number}",
            tags=job.tags,
            retries=_RETRIES,
            retry_delays=[seconds(0.05)],
        )
        run = self._call("CreateTaskRun", CreateTaskRunRequest(task_run=spec)).task_run.spec.id
        state = ProposedState(type=RUNNING.type)
        if job.key:
            state.cache_key = job.key
            state.cache_single_flight = True
        failed = 0
        while True:
            started = self._decide(run, state, _WAIT_SECONDS)
            if started.HasField("abort") and started.abort.reason == ABORT_REASON_TERMINAL:
                return
            if started.HasField("reject"):
                return
            if not started.HasField("accept"):
                time.sleep(_PAUSE_SECONDS)
                continue
            self._place.bodies.write(begin=started.proposal_id, run=run, tags=job.tags, key=job.key)
            time.sleep(job.seconds)
            self._place.bodies.write(end=started.proposal_id)
            if failed < job.failures:
                failed += 1
                if not self._decide(run, FAILED).HasField("reject"):
                    return
                continue
            done = with_result(COMPLETED, f"{job.key or self._place.name} {started.proposal_id}".encode())
            done.cache_key = job.key
            self._decide(run, done)
            return

    def _decide(self, run: str, state: ProposedState, wait: float = 0.0) -> Decision:
        """Retry until there is a decision; all but waits are recorded before they are returned."""
        while True:
            session = self._session
            request = SetTaskRunStateRequest(
                proposal_id=new_id(), task_run_id=run, state=state, session_id=session
            )
            request.wait_timeout.FromMilliseconds(int(wait * 1000))
            result = sha256(state.data.inline).hexdigest()[:16] if state.data.HasField("body") else ""
            self._place.record.write(
                durable=False, ask=request.proposal_id, run=run, type=int(state.type), result=result
            )
            try:
                decision: Decision = self._call("SetTaskRunState", request).decision
            except _SessionLostError:
                self._renew_session(session)
                continue
            if not decision.HasField("wait"):
                self._tell(decision)
            return decision

    def _tell(self, decision: Decision) -> None:
        state = decision.state
        self._place.record.write(
            told=decision.proposal_id,
            run=decision.run_id,
            answer=decision.WhichOneof("answer"),
            state=[state.id, int(state.type), state.name, state.create_time.ToMicroseconds() / 1e6],
            result=sha256(state.data.inline).hexdigest()[:16] if state.data.HasField("body") else "",
            reason=int(decision.abort.reason),
        )


def main(folder: str, name: str, seed: str, flow: str, _kind: str, address: str) -> None:
    """Run with the arguments of the command line."""
    place = Place(Path(folder), name, int(seed))
    Caller(place, address, flow).work()
    place.record.write(finished=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
