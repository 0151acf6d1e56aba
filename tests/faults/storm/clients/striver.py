"""A client that speaks the protocol: ``FOLDER NAME SEED FLOW stream ADDRESS`` or ``... embedded DATABASE``.

It starts a run for each job, runs its body once accepted, and proposes its end. Each decision is written to
disk before the client acts on it. A successor process resumes unfinished jobs.
"""

from __future__ import annotations

import heapq
import itertools
import random
import signal
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from types import FrameType

from clearway.v1.error_pb2 import (
    ERROR_REASON_SESSION_EXPIRED,
    ERROR_REASON_SHUTTING_DOWN,
    ERROR_REASON_STORE_UNAVAILABLE,
)
from clearway.v1.proposal_pb2 import ABORT_REASON_HELD, ABORT_REASON_TERMINAL, Decision, Proposal
from clearway.v1.state_pb2 import ProposedState, State
from faults.storm.clients.line import EmbeddedLine, Line, StreamLine
from faults.storm.clients.place import Job, Place
from support.proposals import COMPLETED, FAILED, RUNNING, move, new_id, seconds, task_spec, with_result

_IN_FLIGHT = 10
_RETRIES = 3
_AGAIN_SECONDS = 0.1
_LONGEST_PAUSE = 0.2
_REMEMBERED = 40
_REPLAYS_EACH = 15
_COMES_AGAIN = (ERROR_REASON_SESSION_EXPIRED, ERROR_REASON_SHUTTING_DOWN, ERROR_REASON_STORE_UNAVAILABLE)


@dataclass
class _Work:
    """A started job, with its undecided proposal, if any."""

    job: Job
    run: str = ""
    proposal: Proposal | None = None
    failed: int = 0


class Striver:
    """Completes jobs.

    Args:
        place: The client's environment.
        line: The connection to the service.
        flow: The flow run that all its task runs belong to.
    """

    def __init__(self, place: Place, line: Line, flow: str) -> None:
        self._place, self._line, self._flow = place, line, flow
        self._jobs = place.jobs()
        self._chance = random.Random(place.seed)
        self._open: dict[str, _Work] = {}
        self._working = 0
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._count = itertools.count()
        self._decided: deque[Proposal] = deque(maxlen=_REMEMBERED)
        self._replayed: set[str] = set()

    def work(self) -> None:
        """Work until the storm is over and each started job has ended."""
        while self._begin_jobs() or self._working:
            pause = min(self._due[0][0] - time.monotonic(), _LONGEST_PAUSE) if self._due else _LONGEST_PAUSE
            decision = self._line.hear(max(pause, 0.001))
            if (same := self._line.reconnected()) is not None:
                self._propose_again(same_session=same)
            if decision is not None:
                self._take(decision)
            while self._due and self._due[0][0] <= time.monotonic():
                heapq.heappop(self._due)[2]()
        self._line.close()

    def _begin_jobs(self) -> bool:
        while self._working < _IN_FLIGHT:
            job = next(self._jobs, None)
            if job is None:
                return False
            self._working += 1
            self._place.record.write(job=job.number)
            self._start(_Work(job))
        return True

    def _later(self, after: float, what: Callable[[], None]) -> None:
        heapq.heappush(self._due, (time.monotonic() + after, next(self._count), what))

    def _start(self, work: _Work) -> None:
        job, state = work.job, ProposedState()
        state.CopyFrom(RUNNING)
        if job.key:
            state.cache_key = job.key
            state.cache_single_flight = True
        if work.run:
            self._propose(work, move(work.run, state))
            return
        name = f"{self._place.name}-{job.number}"
        spec = task_spec(
            self._flow, dynamic_key=name, tags=job.tags, retries=_RETRIES, retry_delays=[seconds(0.05)]
        )
        self._propose(work, Proposal(id=new_id(), create_task_run=spec, state=state))

    def _propose(self, work: _Work, proposal: Proposal) -> None:
        work.proposal = proposal
        self._open[proposal.id] = work
        run, type_, result = proposal.task_run_id, int(proposal.state.type), _digest(proposal.state)
        self._place.record.write(durable=False, ask=proposal.id, run=run, type=type_, result=result)
        self._line.propose([proposal])

    def _propose_again(self, *, same_session: bool) -> None:
        """Propose undecided work on the new line: the same proposals if the session lives, else new ones."""
        works, self._open = list(self._open.values()), {}
        for work in works:
            assert work.proposal is not None
            proposal = Proposal()
            proposal.CopyFrom(work.proposal)
            if not same_session:
                proposal.id = new_id()
            self._propose(work, proposal)
        self._replay()

    def _replay(self) -> None:
        """Send decided proposals again: the decisions must be the same."""
        for proposal in self._chance.sample(list(self._decided), min(3, len(self._decided))):
            self._replayed.add(proposal.id)
            self._line.propose([proposal])

    def _take(self, decision: Decision) -> None:
        answer = decision.WhichOneof("answer") or ""
        if answer == "error":
            self._take_error(decision)
            return
        if answer == "wait":
            work = None if decision.wait.queued else self._open.pop(decision.proposal_id, None)
            if work is not None:
                self._later(
                    decision.wait.retry_after.ToTimedelta().total_seconds(), lambda: self._start(work)
                )
            return
        self._tell(decision, answer)
        work = self._open.pop(decision.proposal_id, None)
        if work is None:
            return
        assert work.proposal is not None
        self._decided.append(work.proposal)
        if self._chance.randrange(_REPLAYS_EACH) == 0:
            self._replay()
        self._follow(work, decision, answer)

    def _tell(self, decision: Decision, answer: str) -> None:
        state = decision.state
        told = [state.id, int(state.type), state.name, state.create_time.ToMicroseconds() / 1e6]
        self._place.record.write(
            told=decision.proposal_id,
            run=decision.run_id,
            answer=answer,
            state=told,
            result=_digest(state),
            reason=int(decision.abort.reason),
        )

    def _follow(self, work: _Work, decision: Decision, answer: str) -> None:
        """Act on a final decision."""
        assert work.proposal is not None
        asked = work.proposal.state.type
        work.run = decision.run_id
        if answer == "abort" and decision.abort.reason == ABORT_REASON_HELD:
            # The predecessor's session is not yet known to be dead.
            self._later(_AGAIN_SECONDS, lambda: self._start(work))
        elif answer == "abort" and decision.abort.reason == ABORT_REASON_TERMINAL:
            self._done(work)
        elif answer == "accept" and asked == RUNNING.type:
            self._begin_body(work, decision)
        elif answer == "reject" and asked == FAILED.type:
            self._later(_AGAIN_SECONDS, lambda: self._start(work))
        elif (answer == "accept") or (answer == "reject" and decision.state.type == COMPLETED.type):
            self._done(work)
        else:
            self._place.record.write(unexpected=f"a decision that no rule allows: {decision}")
            self._done(work)

    def _take_error(self, decision: Decision) -> None:
        work = self._open.pop(decision.proposal_id, None)
        if decision.error.reason not in _COMES_AGAIN:
            self._place.record.write(unexpected=f"a proposal met an error: {decision.error}")
        if work is not None and work.proposal is not None:
            proposal = Proposal()
            proposal.CopyFrom(work.proposal)
            proposal.id = new_id()
            self._later(_AGAIN_SECONDS, lambda: self._propose(work, proposal))

    def _begin_body(self, work: _Work, decision: Decision) -> None:
        job, attempt = work.job, decision.proposal_id
        self._place.bodies.write(begin=attempt, run=work.run, tags=job.tags, key=job.key)
        self._later(job.seconds, lambda: self._end_body(work, attempt))

    def _end_body(self, work: _Work, attempt: str) -> None:
        self._place.bodies.write(end=attempt)
        if work.failed < work.job.failures:
            work.failed += 1
            self._propose(work, move(work.run, FAILED))
        else:
            result = f"{work.job.key or self._place.name} {attempt}".encode()
            state = with_result(COMPLETED, result)
            state.cache_key = work.job.key
            self._propose(work, move(work.run, state))

    def _done(self, work: _Work) -> None:
        self._place.record.write(done=work.job.number)
        self._working -= 1


def _digest(state: State) -> str:
    return sha256(state.data.inline).hexdigest()[:16] if state.data.HasField("body") else ""


def main(folder: str, name: str, seed: str, flow: str, kind: str, where: str) -> None:
    """Run with the arguments of the command line."""
    place = Place(Path(folder), name, int(seed))
    line: Line = (
        StreamLine(where, name, place.record) if kind == "stream" else EmbeddedLine(Path(where), name)
    )

    def leave(_number: int, _frame: FrameType | None) -> None:
        place.record.write(leaves=True)
        line.close()
        sys.exit(0)

    signal.signal(signal.SIGTERM, leave)
    Striver(place, line, flow).work()
    place.record.write(finished=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
