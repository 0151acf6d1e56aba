"""What the task runs of one attempt of a flow run share."""

from __future__ import annotations

import enum
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from clearway._definition.policy import AS_USUAL, Keeping
from clearway._execution.flow.ledger import RunLedger
from clearway._execution.flow.loops import FlowLoops
from clearway._execution.flow.replay import Replay
from clearway._execution.flow.sent import SentProposals
from clearway._execution.inputs.provenance import Provenance
from clearway._transport.protocol import Transport
from clearway.context import current_attempt
from clearway.exceptions import LostRun
from clearway.states import State

if TYPE_CHECKING:
    import asyncio

    from clearway._definition.base import TaskDefinition
    from clearway._execution.flow.runner import StartedRunner
    from clearway.logging import RunLogger


class AttemptFacts(NamedTuple):
    """What is known of an attempt of a flow run from its beginning.

    Attributes:
        flow_run_id: The flow run's UUID.
        flow_run_name: The flow run's name.
        root_flow_run_id: The UUID of the flow run at the top, which may be this one.
        number: Which attempt this is, from 1.
        keeping: What is done with the results of its tasks that do not say otherwise.
        log_prints: Whether the code of the flow, and of its tasks that do not say, logs what it prints.
    """

    flow_run_id: str
    flow_run_name: str
    root_flow_run_id: str
    number: int = 1
    keeping: Keeping = AS_USUAL
    log_prints: bool = False


class _Stage(enum.Enum):
    """What the service holds of the flow run, as far as this process knows."""

    LIVE = enum.auto()
    FENCED = enum.auto()  # it has ended it, and no code of a task begins any more; why is not known yet
    LOST = enum.auto()  # it has ended it, and all runs were told


class FlowAttempt:
    """One attempt of a flow run: its task runs, and what they need.

    Attributes:
        transport: The way to the service.
        facts: What is known of it from its beginning.
        loops: Where its async code is executed.
        runner: What executes the code of submitted task runs.
        gates: The permits of submitted task runs.
        ledger: The task runs under way, and how the others ended.
        sent: What was proposed without waiting for the decision.
        provenance: Which of the runs made which result.
        replay: What it shares with the flow run's other attempts; None for a flow without retries.
        portable: What the calls have in common that go to other processes; see ``remote_call``.
        lost: Why the flow run goes no further, where the service took this process for dead; else empty.
    """

    def __init__(
        self,
        transport: Transport,
        facts: AttemptFacts,
        loop: asyncio.AbstractEventLoop | None,
        replay: Replay | None,
        runner: StartedRunner,
    ) -> None:
        """Begin an attempt.

        Args:
            transport: The way to the service.
            facts: What is known of it.
            loop: The event loop that the flow runs on; None for a sync flow.
            replay: What it shares with the other attempts; None for a flow without retries.
            runner: The flow's task runner.
        """
        self.transport = transport
        self.facts = facts
        self.ledger = RunLedger(threading.Lock())
        self.loops = FlowLoops(loop, facts.flow_run_name, self.ledger.guard)
        self.runner = runner
        self.gates = runner.gates()
        self.sent = SentProposals(transport)
        self.provenance = Provenance()
        self.portable: dict[str | TaskDefinition, bytes] = {}
        self.lost = ""
        self._stage = _Stage.LIVE
        self.replay = replay

    @staticmethod
    def current() -> FlowAttempt | None:
        """Return the attempt of the flow run that the caller is in; None outside, and in a worker process."""
        attempt = current_attempt()
        assert attempt is None or isinstance(attempt, FlowAttempt)
        return attempt

    # What a retry of the flow has from earlier attempts.

    def keep(self, task_run_id: str, result: Any) -> None:
        """Keep a result that was not written, as long as another attempt may ask for it."""
        if self.replay is not None:
            self.replay.keep(task_run_id, result)

    def completed_before(self, state: State[Any]) -> State[Any]:
        """Return the state that the service has of a run, with its result if an earlier attempt kept it."""
        return state if self.replay is None else self.replay.with_result(state)

    # What futures and the client ask: see ``context.RunningAttempt``.

    def note_result(self, result: Any, task_run_id: str) -> None:
        """Note which task run a result is of that was read, as of a cached run."""
        self.provenance.note(result, task_run_id)

    def await_answers(self) -> None:
        """Block until all that was sent is answered, so that the service's answers to calls include it."""
        self.sent.await_answers()

    async def await_answers_async(self) -> None:
        """Wait as ``await_answers``."""
        await self.sent.await_answers_async()

    def log(self) -> RunLogger:
        """Return the flow run's logger."""
        from clearway.logging import run_logger  # noqa: PLC0415 - reads settings

        return run_logger(self.facts.flow_run_id, "", self.facts.flow_run_name)

    # The end of an attempt.

    def drain(self) -> None:
        """Block until all runs have ended and all that was sent is answered.

        Raises:
            ClearwayError: Something that was sent could not be decided about.
        """
        while runs := self.ledger.open_runs():
            for run in runs:
                run.future.block()
        self.sent.await_answers()
        self.sent.raise_refusal()

    async def drain_async(self) -> None:
        """Wait until all runs have ended and all that was sent is answered; raises as ``drain``."""
        while runs := self.ledger.open_runs():
            for run in runs:
                await run.future.wait_done()
        await self.sent.await_answers_async()
        self.sent.raise_refusal()

    def interrupt(self, cause: BaseException) -> None:
        """End all runs that are under way, without waiting for their code or for the service's answers."""
        self.gates.close()
        for run in self.ledger.open_runs():
            run.interrupt(cause)

    def close(self) -> None:
        """Stop the loop thread, if there is one."""
        self.loops.close()

    # When the service has ended the flow run.

    @property
    def is_fenced(self) -> bool:
        """Whether no code of a task begins any more."""
        return self._stage is not _Stage.LIVE

    def fence(self) -> None:
        """Let no code of a task begin any more; ``lose`` gives the reason."""
        with self.ledger.guard:
            if self._stage is _Stage.LIVE:
                self._stage = _Stage.FENCED

    def lose(self, run_ids: frozenset[str], why: str) -> list[str]:
        """End the runs that the service has ended, and where the flow run is one of them, all others too.

        Args:
            run_ids: The flow runs and task runs that are Crashed at the service.
            why: For the messages of their states.

        Returns:
            The names of the task runs whose code was told to stop.
        """
        if self.facts.flow_run_id in run_ids:
            with self.ledger.guard:
                self.lost = why
                self._stage = _Stage.LOST
            self.gates.close()
        stopped = [run.name for run in self.ledger.open_runs() if run.run_id in run_ids and run.lose(why)]
        if self._stage is _Stage.LOST:
            for run in self.ledger.open_runs():
                run.abandon(why)
        return stopped

    def check_lost(self) -> None:
        """Refuse to continue a flow run that the service has ended.

        Raises:
            LostRun: It has.
        """
        if self._stage is _Stage.LOST:
            raise LostRun(f"the flow run {self.facts.flow_run_name!r} goes no further: {self.lost}")
