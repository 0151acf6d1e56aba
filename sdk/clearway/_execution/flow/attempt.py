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
    """The fixed facts about one attempt of a flow run.

    Attributes:
        flow_run_id: The flow run's UUID.
        flow_run_name: The flow run's name.
        root_flow_run_id: The UUID of the outermost flow run, which may be this one.
        number: The attempt's number, from 1.
        keeping: How results are stored by tasks that have no setting of their own.
        log_prints: Whether the code of the flow, and of its tasks that do not say, logs what it prints.
        flow_name: The flow's name.
    """

    flow_run_id: str
    flow_run_name: str
    root_flow_run_id: str
    number: int = 1
    keeping: Keeping = AS_USUAL
    log_prints: bool = False
    flow_name: str = ""


class _Stage(enum.Enum):
    """Whether the service has ended the flow run, as far as this process knows."""

    LIVE = enum.auto()
    FENCED = enum.auto()  # the service has ended it, so no task starts; the reason is not known yet
    LOST = enum.auto()  # the service has ended it, and all runs have been stopped


class FlowAttempt:
    """One attempt of a flow run: its task runs, and what they share.

    Attributes:
        transport: The transport to the service.
        facts: The fixed facts about it.
        loops: The event loops of its async code.
        runner: Executes the code of submitted task runs.
        gates: The permits of submitted task runs.
        ledger: The task runs under way, and how the others ended.
        sent: What was proposed without waiting for the decision.
        provenance: Which of the runs made which result.
        replay: What it shares with the flow run's other attempts; None for a flow without retries.
        portable: What the calls have in common that go to other processes; see ``call_bytes``.
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
        """Start an attempt.

        Args:
            transport: The transport to the service.
            facts: The fixed facts about it.
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
        """Return the attempt that the caller is in; None outside a flow run, and in a worker process."""
        attempt = current_attempt()
        assert attempt is None or isinstance(attempt, FlowAttempt)
        return attempt

    # Shared with earlier attempts.

    def keep(self, task_run_id: str, result: Any) -> None:
        """Keep a result that was not written, as long as another attempt may ask for it."""
        if self.replay is not None:
            self.replay.keep(task_run_id, result)

    def completed_before(self, state: State[Any]) -> State[Any]:
        """Return the state that the service has of a run, with its result if an earlier attempt kept it."""
        return state if self.replay is None else self.replay.with_result(state)

    # For futures and the client: see ``context.RunningAttempt``.

    def note_result(self, result: Any, task_run_id: str) -> None:
        """Note which task run produced a result that was read from storage, as for a cached run."""
        self.provenance.note(result, task_run_id)

    def await_answers(self) -> None:
        """Block until every proposal sent has its decision, so that later reads include their effects."""
        self.sent.await_answers()

    async def await_answers_async(self) -> None:
        """Do the same as ``await_answers`` in a coroutine."""
        await self.sent.await_answers_async()

    def log(self) -> RunLogger:
        """Return the flow run's logger."""
        from clearway.logging import run_logger  # noqa: PLC0415 - reads settings

        return run_logger(self.facts.flow_run_id, "", self.facts.flow_run_name)

    # The end of an attempt.

    def drain(self) -> None:
        """Block until all runs have ended and every proposal sent has its decision.

        Raises:
            ClearwayError: The service refused one of the proposals.
        """
        while runs := self.ledger.open_runs():
            for run in runs:
                run.future.block()
        self.sent.await_answers()
        self.sent.raise_refusal()

    async def drain_async(self) -> None:
        """Do the same as ``drain`` in a coroutine; raises as ``drain``."""
        while runs := self.ledger.open_runs():
            for run in runs:
                await run.future.wait_done()
        await self.sent.await_answers_async()
        self.sent.raise_refusal()

    def interrupt(self, cause: BaseException) -> None:
        """End all open runs, without waiting for their code or for decisions."""
        self.gates.close()
        for run in self.ledger.open_runs():
            run.interrupt(cause)

    def close(self) -> None:
        """Stop the loop thread, if there is one."""
        self.loops.close()

    # When the service has ended runs.

    @property
    def is_fenced(self) -> bool:
        """Whether no more task code may start."""
        return self._stage is not _Stage.LIVE

    def fence(self) -> None:
        """Start no more task code; ``lose`` gives the reason later."""
        with self.ledger.guard:
            if self._stage is _Stage.LIVE:
                self._stage = _Stage.FENCED

    def lose(self, run_ids: frozenset[str], why: str) -> list[str]:
        """End the runs that the service has ended; if the flow run is one of them, all others too.

        Args:
            run_ids: The flow runs and task runs that the service has crashed.
            why: The reason, for the messages of their states.

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
            LostRun: The service has ended it.
        """
        if self._stage is _Stage.LOST:
            raise LostRun(f"the flow run {self.facts.flow_run_name!r} was stopped: {self.lost}")
