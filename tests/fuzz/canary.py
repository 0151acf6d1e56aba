"""The canary: an honest client next to the fuzzers, whose runs and results must not change."""

from __future__ import annotations

import threading
from hashlib import sha256
from types import TracebackType
from typing import Self

import grpc

from clearway.v1.flow_run_pb2 import CreateFlowRunRequest, FlowRunSpec
from clearway.v1.log_pb2 import ListLogsRequest, Log, WriteLogsRequest
from clearway.v1.proposal_pb2 import Proposal
from clearway.v1.result_pb2 import DownloadResultRequest, UploadResultRequest
from clearway.v1.state_pb2 import Data, ProposedState
from clearway.v1.task_run_pb2 import GetTaskRunRequest, TaskRun
from fuzz.oracle import Findings
from fuzz.pool import Pool
from support.client import Client, EndedError, Stream
from support.limits import set_limit
from support.proposals import COMPLETED, RUNNING, move, new_id, task_spec

_SECONDS = 30.0
_PAUSE_SECONDS = 0.3
_TAG = "canary"


class Canary:
    """Runs flows, and checks regularly that earlier ones are unchanged.

    Args:
        address: The server's address.
        pool: Gets the ids that fuzzers must not use.
        findings: Collects violations.

    Attributes:
        rounds: The number of flows it ran.
    """

    def __init__(self, address: str, pool: Pool, findings: Findings) -> None:
        self._client = Client(address)
        self._pool, self._findings = pool, findings
        self._runs: dict[str, TaskRun] = {}
        self._results: dict[str, bytes] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sing, daemon=True)
        self.rounds = 0

    def _sing(self) -> None:
        stream = self._client.open("canary")
        set_limit(self._client, 1, _TAG)
        while not self._stop.wait(_PAUSE_SECONDS):
            try:
                self._one_round(stream)
                self.rounds += 1
            except (AssertionError, EndedError, grpc.RpcError) as error:
                self._findings.add("the canary's flow failed", f"{type(error).__name__}: {error}")
                return
        stream.say_goodbye()

    def _one_round(self, stream: Stream) -> None:
        flow, spec = new_id(), None
        spec = task_spec(flow, tags=[_TAG], task_key="canary")
        self._pool.others |= {flow, spec.id, stream.session_id}
        stub = self._client.stub
        made = FlowRunSpec(id=flow, flow_name="canary")
        stub.CreateFlowRun(CreateFlowRunRequest(flow_run=made), timeout=_SECONDS)
        start = Proposal(id=new_id(), create_task_run=spec, state=RUNNING)
        stream.propose(start)
        assert stream.final(start.id).HasField("accept"), stream.decisions(start.id)
        entry = Log(flow_run_id=flow, task_run_id=spec.id, logger="canary", level=20, message=spec.id)
        entry.create_time.GetCurrentTime()
        stub.WriteLogs(WriteLogsRequest(logs=[entry]), timeout=_SECONDS)
        done = move(spec.id, self._completed(spec.id))
        assert stream.decide(done).HasField("accept"), stream.decisions(done.id)
        self._runs[spec.id] = stub.GetTaskRun(GetTaskRunRequest(id=spec.id), timeout=_SECONDS).task_run
        assert self._runs[spec.id].state.id == done.id, self._runs[spec.id]
        found = stub.ListLogs(ListLogsRequest(task_run_id=spec.id), timeout=_SECONDS)
        assert [log.message for log in found.logs] == [spec.id], found

    def _completed(self, text: str) -> ProposedState:
        """Return a Completed state whose result is in the service's storage."""
        body = f"canary {text}".encode()
        digest = sha256(body).hexdigest()
        upload = UploadResultRequest(upload_id=new_id(), sha256=digest, size_bytes=len(body), chunk=body)
        location = self._client.stub.UploadResult(upload, timeout=_SECONDS).location
        self._results[location] = body
        data = Data(encoding="json", location=location, size_bytes=len(body), sha256=digest)
        return ProposedState(type=COMPLETED.type, data=data)

    def check(self) -> None:
        """Check that everything it created is unchanged."""
        stub = self._client.stub
        for id_, run in self._runs.items():
            try:
                found = stub.GetTaskRun(GetTaskRunRequest(id=id_), timeout=_SECONDS).task_run
            except grpc.RpcError as error:
                self._findings.add("the canary's run is gone", f"{id_}: {error}")
                continue
            if found != run:
                self._findings.add("the canary's run was changed", f"{run} is {found}")
        for location, body in self._results.items():
            try:
                chunk = stub.DownloadResult(DownloadResultRequest(location=location), timeout=_SECONDS).chunk
            except grpc.RpcError as error:
                self._findings.add("the canary's result is gone", f"{location}: {error}")
            else:
                if chunk != body:
                    self._findings.add("the canary's result was changed", f"{location}: {chunk!r}")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def stop(self) -> None:
        """Run no more flows."""
        self._stop.set()
        self._thread.join(2 * _SECONDS)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._client.close()
