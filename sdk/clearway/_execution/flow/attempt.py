"""What the task runs of one attempt of a flow run share."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from clearway._base.ids import new_id
from clearway._definition.policy import AS_USUAL
from clearway._display.subjects import DrawnTaskRun
from clearway._execution.flow.replay import Replay
from clearway._execution.inputs.provenance import Provenance
from clearway._transport.decision_future import DecisionFuture
from clearway._transport.protocol import Transport
from clearway._waiting.sigint import wait_told
from clearway.context import current_attempt
from clearway.exceptions import ClearwayError, LostRun
from clearway.futures import Future
from clearway.states import State
from clearway.v1.proposal_pb2 import Decision, Proposal

if TYPE_CHECKING:
    import asyncio

    from clearway._definition.base import TaskDefinition
    from clearway._execution.flow.runner import StartedRunner
    from clearway._execution.loops import LoopThread

_CLOSE_SECONDS = 10.0


class OpenRun(DrawnTaskRun, Protocol):
    """A task run that has not ended, as far as the flow run that it belongs to has to do with it.

    Attributes:
        run_id: Its UUID.
        future: What others wait for it by.
    """

    run_id: str
    future: Future[Any]

    def interrupt(self, cause: BaseException) -> None:
        """End the run wherever it is; what its code still does counts no more. Waits for nothing."""
        ...

    def lose(self, why: str) -> bool:
        """End the run, which is Crashed at the service; return whether its code was told to stop."""
        ...

    def abandon(self, why: str) -> None:
        """End the run because its flow run goes no further, unless its end was proposed."""
        ...


class FlowAttempt:
    """The task runs of one attempt of a flow run: who is under way, how they ended, what is unanswered.

    Attributes:
        transport: The way to the service.
        flow_run_id: The flow run's UUID.
        flow_run_name: The flow run's name.
        number: Which attempt this is, from 1.
        loop: The event loop that the flow runs on; None for a sync flow.
        runner: What executes the code of submitted task runs.
        gate: The permits of submitted sync task runs.
        async_gate: The permits of submitted async task runs.
        provenance: Which of the runs made which result.
        portable: What the calls have in common that go to other processes; see ``remote_call``.
        guard: Held for a moment by whoever changes what several threads change.
        lost: Why the flow run goes no further, where the service took this process for dead; else empty.
        fenced: Whether it is so, which is known before why: no code of a task begins any more.
        cached: How many of the runs had their result from the cache.
        retries: How often one of the runs was told to try again.
        keeping: What is done with the results of its tasks that do not say otherwise.
        log_prints: Whether the code of the flow, and of its tasks that do not say, logs what it prints.
        root_flow_run_id: The UUID of the flow run at the top, which may be this one.
    """

    def __init__(
        self,
        transport: Transport,
        flow_run_id: str,
        flow_run_name: str,
        number: int,
        loop: asyncio.AbstractEventLoop | None,
        replay: Replay | None,
        runner: StartedRunner,
    ) -> None:
        self.transport = transport
        self.flow_run_id = flow_run_id
        self.flow_run_name = flow_run_name
        self.number = number
        self.loop = loop
        self.runner = runner
        self.gate, self.async_gate = runner.gates()
        self.portable: dict[str | TaskDefinition, bytes] = {}
        self.guard = threading.Lock()
        self.provenance = Provenance()
        self.lost = ""
        self.fenced = False
        self.cached = self.retries = 0
        self.log_prints = False
        self.keeping = AS_USUAL
        self.root_flow_run_id = flow_run_id
        self._runs_of: dict[str, int] = {}  # by task key
        self._open: dict[OpenRun, None] = {}
        self._unanswered: set[DecisionFuture] = set()
        self._not_completed: list[State[Any]] = []  # in the order of their ends
        self._total = 0
        self._replay = replay
        self._loop_thread: LoopThread | None = None
        self._refused: ClearwayError | None = None

    @staticmethod
    def current() -> FlowAttempt | None:
        """Return the attempt of the flow run that the caller is in; None outside, and in a worker process."""
        attempt = current_attempt()
        assert attempt is None or isinstance(attempt, FlowAttempt)
        return attempt

    @property
    def is_async(self) -> bool:
        """Whether the flow is async."""
        return self.loop is not None

    def number_of(self, task_key: str) -> int:
        """Return how many runs of a task this attempt had before, and count one more."""
        with self.guard:
            number = self._runs_of.get(task_key, 0)
            self._runs_of[task_key] = number + 1
            return number

    def run_id(self, task_key: str, dynamic_key: str) -> str:
        """Return the id of a run: that of an earlier attempt with the same keys, or a new one."""
        return new_id() if self._replay is None else self._replay.run_id(task_key, dynamic_key)

    def keep(self, task_run_id: str, result: Any) -> None:
        """Keep a result that was not written, as long as another attempt may ask for it."""
        if self._replay is not None:
            self._replay.keep(task_run_id, result)

    def completed_before(self, state: State[Any]) -> State[Any]:
        """Return the state that the service has of a run, with its result if an earlier attempt kept it."""
        return state if self._replay is None else self._replay.with_result(state)

    def note_result(self, result: Any, task_run_id: str) -> None:
        """Note which task run a result is of that was read, as of a cached run."""
        self.provenance.note(result, task_run_id)

    def enter(self, run: OpenRun) -> None:
        """Take a run that begins."""
        self._open[run] = None

    def leave(self, run: OpenRun, state: State[Any]) -> None:
        """Let a run go that has ended, or that goes no further."""
        self._open.pop(run, None)
        self.ended(state)

    def ended(self, state: State[Any]) -> None:
        """Note how a task run or a subflow ended."""
        with self.guard:
            self._total += 1
            if not state.is_completed():
                self._not_completed.append(state)
            elif state.name == "Cached":
                self.cached += 1

    def note_retry(self) -> None:
        """Note that a run is to be tried again."""
        with self.guard:
            self.retries += 1

    def open_runs(self) -> list[OpenRun]:
        """Return the task runs that have not ended."""
        return list(self._open)

    @property
    def failures(self) -> int:
        """How many task runs and subflows of this attempt did not complete."""
        return len(self._not_completed)

    def ended_otherwise(self, state: State[Any]) -> None:
        """Note that a run which was taken as completed is in another state."""
        self._not_completed.append(state)

    @property
    def total(self) -> int:
        """How many task runs and subflows of this attempt have ended."""
        return self._total

    def not_completed(self) -> list[State[Any]]:
        """Return the states of the runs that did not complete."""
        return list(self._not_completed)

    def knows(self, error: BaseException) -> bool:
        """Return whether an exception is that of a task run or subflow, and so was logged with that."""
        return any(state.data is error for state in self._not_completed)

    def send(self, proposal: Proposal, on_decision: Callable[[Decision], None] | None = None) -> None:
        """Send a proposal whose decision nobody waits for now; ``drain`` does.

        Args:
            proposal: What is proposed.
            on_decision: Told of the decision, on the transport's thread.
        """
        future = self.transport.propose(proposal)
        self._unanswered.add(future)

        def answered(answer: DecisionFuture) -> None:
            try:
                decision = answer.result()
                if on_decision is not None:
                    on_decision(decision)
            except ClearwayError as error:
                self._refused = self._refused or error
            finally:
                self._unanswered.discard(answer)

        future.add_done_callback(answered)

    def send_last(self, proposal: Proposal) -> None:
        """Send the end of a run that was interrupted; that the service may not know the run is no matter."""
        future = self.transport.propose(proposal)
        self._unanswered.add(future)
        future.add_done_callback(self._unanswered.discard)

    def await_answers(self) -> None:
        """Block until all that was sent is answered, so that the service's answers to calls include it."""
        for future in self.unanswered():
            wait_told(future)

    async def await_answers_async(self) -> None:
        """Wait as ``await_answers``."""
        from clearway._waiting.loop_calls import answered  # noqa: PLC0415 - loads asyncio

        for future in self.unanswered():
            await answered(future)

    def event_loop(self) -> asyncio.AbstractEventLoop:
        """Return the loop for async tasks: the flow's own, or for a sync flow one beside it."""
        if self.loop is not None:
            return self.loop
        return self.loop_thread().loop

    def loop_thread(self) -> LoopThread:
        """Return the loop thread beside a sync flow, started when asked for the first time."""
        from clearway._execution.loops import LoopThread  # noqa: PLC0415 - loads asyncio

        with self.guard:
            if self._loop_thread is None:
                self._loop_thread = LoopThread(f"clearway-loop-{self.flow_run_name}")
            return self._loop_thread

    # The end of an attempt.

    def drain(self) -> None:
        """Block until all runs have ended and all that was sent is answered.

        Raises:
            ClearwayError: Something that was sent could not be decided about.
        """
        while runs := list(self._open):
            for run in runs:
                run.future.block()
        self.await_answers()
        self._raise_refusal()

    async def drain_async(self) -> None:
        """Wait until all runs have ended and all that was sent is answered; raises as ``drain``."""
        while runs := list(self._open):
            for run in runs:
                await run.future.wait_done()
        await self.await_answers_async()
        self._raise_refusal()

    def _raise_refusal(self) -> None:
        if self._refused is not None:
            raise self._refused

    def interrupt(self, cause: BaseException) -> None:
        """End all runs that are under way, without waiting for their code or for the service's answers."""
        self.gate.close()
        self.async_gate.close()
        for run in list(self._open):
            run.interrupt(cause)

    def lose(self, run_ids: frozenset[str], why: str) -> list[str]:
        """End the runs that the service has ended, and where the flow run is one of them, all others too.

        Args:
            run_ids: The flow runs and task runs that are Crashed at the service.
            why: For the messages of their states.

        Returns:
            The names of the task runs whose code was told to stop.
        """
        if self.flow_run_id in run_ids:
            self.lost = why
            self.gate.close()
            self.async_gate.close()
        stopped = [run.name for run in list(self._open) if run.run_id in run_ids and run.lose(why)]
        if self.lost:
            for run in list(self._open):
                run.abandon(why)
        return stopped

    def check_lost(self) -> None:
        """Refuse to go on with a flow run that the service has ended.

        Raises:
            LostRun: It has.
        """
        if self.lost:
            raise LostRun(f"the flow run {self.flow_run_name!r} goes no further: {self.lost}")

    def unanswered(self) -> list[DecisionFuture]:
        """Return what was sent and is not answered yet."""
        return list(self._unanswered)

    def close(self, timeout: float = _CLOSE_SECONDS) -> None:
        """Stop the loop thread, if there is one."""
        if self._loop_thread is not None:
            self._loop_thread.close(timeout)
