"""One run of a task: its parts, the proposals it makes, and how it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from clearway._base.error_kinds import RunErrorKind
from clearway._base.ids import new_id
from clearway._execution.flow.stuck import held_by
from clearway._execution.inputs.run_inputs import NOTHING_MAPPED, inputs_of
from clearway._execution.inputs.shared import NOT_SHARED
from clearway._execution.outcomes import describe, interruption, of_kind, stopped_early
from clearway._execution.task.given import Given
from clearway._execution.task.identity import Identity
from clearway._execution.task.lifecycle import Lifecycle
from clearway._states.phase import Phase
from clearway.context import note_cancelled
from clearway.exceptions import ClientClosed, LostRun, ServerUnavailable, SessionExpired
from clearway.futures import AsyncTaskFuture, Future, TaskFuture
from clearway.states import Cancelled, Crashed, Pending, Running, State, StateDetails
from clearway.v1 import state_pb2
from clearway.v1.proposal_pb2 import Decision, Proposal

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable, Mapping

    from clearway._definition.base import TaskDefinition
    from clearway._definition.signature import CallShape
    from clearway._execution.admission import Gate
    from clearway._execution.flow.attempt import FlowAttempt
    from clearway._execution.flow.replay import Call
    from clearway._execution.inputs.found import Found
    from clearway._execution.inputs.shared import SharedArguments
    from clearway._transport.decision_future import DecisionFuture
    from clearway.exceptions import ClearwayError
    from clearway.logging import RunLogger


class Submitter(Protocol):
    """Resumes a submitted task run that was given a permit."""

    def go_on(self, run: TaskRun) -> None:
        """Resume a run that waited for a permit and now holds one."""
        ...


class TaskRun:
    """One run of a task.

    Attributes:
        task: The task.
        flow_attempt: The attempt of the flow run that it belongs to.
        given: What it was called with.
        identity: Its key, id and name.
        life: Its phase.
        future: The future returned to the caller.
        settles_early: Whether completion counts before the service has confirmed it.
        submitter: Resumes the run when it is given a permit; None if it was not submitted.
        stop: Cancels the code; None if it cannot be cancelled.
        waits_for_slots: The tags whose slots the service last made it wait for.
        on_loop: Whether its code is on an event loop, or about to be.
        reported: The decision on its end, if that was proposed while its code still kept its thread busy.
    """

    __slots__ = (
        "_proposal_id",
        "flow_attempt",
        "future",
        "given",
        "identity",
        "life",
        "on_loop",
        "reported",
        "settles_early",
        "stop",
        "submitter",
        "task",
        "waits_for_slots",
    )

    def __init__(
        self,
        task: TaskDefinition,
        flow_attempt: FlowAttempt,
        parameters: dict[str, Any],
        tags: frozenset[str],
        wait_for: Iterable[Any] | None,
        *,
        shape: CallShape | None = None,
        settles_early: bool = False,
        mapped: Mapping[str, Found] = NOTHING_MAPPED,
        shared: SharedArguments = NOT_SHARED,
    ) -> None:
        self.task = task
        self.flow_attempt = flow_attempt
        inputs = inputs_of(parameters, wait_for, flow_attempt.provenance, mapped, shared)
        self.given = Given(task, parameters, shape, tags, inputs, shared)
        self.identity = Identity(task, flow_attempt)
        self.life = Lifecycle(flow_attempt.ledger.guard)
        self.settles_early = settles_early and not task.hooks
        self.submitter: Submitter | None = None
        self.stop: Callable[[], None] | None = None
        self.on_loop = False
        self.waits_for_slots: tuple[str, ...] = ()
        self.reported: DecisionFuture | None = None
        self._proposal_id = ""
        kind = AsyncTaskFuture if task.is_async and flow_attempt.loops.is_async else TaskFuture
        self.future: Future[Any] = kind(self.run_id, self.name, self)

    # Its parts, read only.

    @property
    def run_id(self) -> str:
        """The run's UUID at the service."""
        return self.identity.run_id

    @property
    def name(self) -> str:
        """Its name, for people."""
        return self.identity.name

    @property
    def phase(self) -> Phase:
        """How far it has come."""
        return self.life.phase

    @property
    def tags(self) -> frozenset[str]:
        """Its tags: the task's, and those that were in force when it was called."""
        return self.given.tags

    # Waiting for a permit: see ``admission.Admitted``.

    @property
    def gate(self) -> Gate:
        """The gate that a submitted run needs a permit of."""
        gates = self.flow_attempt.gates
        return gates.for_async if self.task.is_async else gates.for_sync

    def go_on(self) -> None:
        """Resume with a permit."""
        assert self.submitter is not None
        self.submitter.go_on(self)

    # What the run proposes.

    def propose(self, state: state_pb2.ProposedState) -> Proposal:
        """Return a proposal of ``state``, which also creates the run if the service does not know it."""
        self._proposal_id = new_id()
        if self.identity.known:
            return Proposal(id=self._proposal_id, task_run_id=self.run_id, state=state)
        proposal = Proposal(id=self._proposal_id, state=state)
        self.identity.specify(proposal.create_task_run, self.given)
        return proposal

    def heard(self, decision: Decision) -> None:
        """Note that the service has the run, and under which id."""
        self.identity.known = True
        if decision.run_id != self.run_id:
            self.identity.run_id = self.future.task_run_id = decision.run_id

    def note_wait(self, decision: Decision) -> None:
        """Note the limits that the service makes the run wait for."""
        self.waits_for_slots = tuple(decision.wait.blocking_tags)

    def rename(self, name: str) -> None:
        """Use a name that is not derived from the run's key."""
        self.identity.name = self.future.name = name

    def choose(self, compared: tuple[Call, str] | None = None) -> None:
        """Become the run of an earlier attempt of the flow, if there is one for this call.

        Args:
            compared: See ``RunChoice.choose``.
        """
        reason = self.identity.choose(compared)
        self.identity.show(self.future)
        if reason:
            number = self.flow_attempt.facts.number
            self.log().warning("runs again in attempt %d of its flow: %s", number, reason)

    def take_own_key(self) -> bool:
        """Become a run of its own, if this one is of an earlier attempt; see ``Identity.take_own_key``.

        A run that this attempt of the flow has started stays what it is.
        """
        if self.life.run_count or not self.identity.take_own_key():
            return False
        self.identity.show(self.future)
        return True

    def take_repair_key(self) -> bool:
        """Become another run in place of this one; see ``Identity.take_repair_key``."""
        if not self.identity.take_repair_key():
            return False
        self.identity.show(self.future)
        return True

    def rest(self, state: State[Any]) -> None:
        """Wait for the scheduled time of a retry."""
        self.life.rest(state)
        self.flow_attempt.ledger.note_retry()

    @property
    def may_run_again(self) -> bool:
        """Whether a retry is left if the code fails now, as far as this process knows."""
        return self.life.run_count <= self.task.retries

    # How the run ends.

    @property
    def end(self) -> State[Any]:
        """The run's final state; the run must have ended."""
        end = self.life.end
        assert end is not None
        return end

    def settle(self, state: State[Any]) -> None:
        """End the run in ``state`` and wake its waiters; has no effect if it has ended."""
        if self.life.finish(state) is not Phase.ENDED:
            self._let_go(state)

    def _let_go(self, state: State[Any]) -> None:
        """Release the arguments, and wake those who wait for the run."""
        self.given.let_go()
        if self.identity.known:
            self.identity.ended(state)
        if state.data is not None and state.is_completed():
            self.flow_attempt.provenance.note(state.data, self.run_id)
        self.flow_attempt.ledger.leave(self, state)
        self.future.settle(state)

    def own_state(self, state: State[Any]) -> State[Any]:
        """Return a copy of a locally made state with this run's ids in its details."""
        details = StateDetails(flow_run_id=self.flow_attempt.facts.flow_run_id, task_run_id=self.run_id)
        return State(
            state.type, state.name, state.message, state.data, details=details, error_kind=state.error_kind
        )

    def check_end(self, decision: Decision) -> None:
        """Look at the answer to an end that was taken as decided."""
        if decision.WhichOneof("answer") != "accept":
            state = State.from_proto(decision.state)
            self.flow_attempt.ledger.ended_otherwise(state)
            self.log().warning("completed, but the service has it as %s", state)

    def log(self) -> RunLogger:
        """Return the run's logger."""
        from clearway.logging import run_logger  # noqa: PLC0415 - most runs say nothing

        facts = self.flow_attempt.facts
        return run_logger(
            facts.flow_run_id,
            self.run_id,
            self.name,
            flow_run_name=facts.flow_run_name,
            flow_name=facts.flow_name,
            task_name=self.task.name,
        )

    def interrupt(self, cause: BaseException) -> None:
        """End the run at once, whatever its phase; the outcome of code still running is ignored."""
        stop = Crashed if self.life.code_began else Cancelled
        self._end_here(stopped_early(stop, interruption(cause), cause))

    def give_up(self, error: ClearwayError) -> None:
        """End the run because the service is unreachable or refused a request."""
        away = isinstance(error, ServerUnavailable | SessionExpired | ClientClosed)
        kind = RunErrorKind.LOST if away else RunErrorKind.UNKNOWN
        self._end_here(of_kind(kind, Crashed(error, message=describe(error))))

    def lose(self, why: str) -> bool:
        """End the run locally after the service crashed it because its session was lost.

        Returns:
            Whether the code was told to stop; False if the run's end was proposed already.
        """
        if self.phase in (Phase.ENDING, Phase.ENDED):
            return False
        error = LostRun(f"the task run {self.name!r} was stopped: {why}")
        self._end_here(of_kind(RunErrorKind.LOST, Crashed(error, message=why)))
        return True

    def abandon(self, why: str) -> None:
        """End the run because its flow run was stopped, unless its end was proposed already."""
        if self.phase is not Phase.ENDING:
            self._end_here(stopped_early(Cancelled, why))

    def _end_here(self, state: State[Any]) -> None:
        own = self.own_state(state)
        stop = self.stop
        before = self.life.finish(own)
        if before is Phase.ENDED:
            return
        try:
            if before is Phase.RUNNING:
                note_cancelled(self.run_id)
            if stop is not None:
                stop()
            if before is Phase.PROPOSED:
                self.flow_attempt.transport.withdraw(self._proposal_id)
            if before is not Phase.NEW:
                self.say_ended()
        finally:  # last: a flow whose runs have all ended must find the proposal and wait for it
            self._let_go(own)

    def say_ended(self) -> None:
        """Propose the run's final state, whatever was proposed just before the interrupt."""
        state = self.end
        if isinstance(state.data, LostRun):  # the service ended it
            return
        self.flow_attempt.sent.send_last(
            Proposal(id=new_id(), task_run_id=self.run_id, state=state.to_proto())
        )

    # What the future needs: see ``futures.Source``.

    def state_now(self) -> State[Any]:
        """Return the run's current state, as far as this process knows."""
        given = self.life.end or self.life.resting_in
        if given is not None:
            return given
        if self.life.code_began:
            return self.own_state(Running(name="Retrying" if self.life.run_count > 1 else ""))
        return self.own_state(Pending())

    def own_loop(self) -> asyncio.AbstractEventLoop | None:
        """Return the event loop that runs the code; None if a thread does."""
        here = self.task.is_async and not self.flow_attempt.runner.takes_async
        return self.flow_attempt.loops.event_loop() if here else None

    def needs(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Return whether an event loop has to execute or continue the run's code."""
        return (
            self.on_loop
            and self.phase not in (Phase.ENDING, Phase.ENDED)
            and self.flow_attempt.loops.event_loop() is loop
        )

    def held_up_on(self, loop: asyncio.AbstractEventLoop) -> str:
        """Return why the run cannot begin while an event loop is blocked; empty if it can, or has begun."""
        if self.phase is Phase.PROPOSED:
            held = held_by(self.flow_attempt.transport, self.run_id, loop)
            return f"the task run {self.name!r} waits for {held}" if held else ""
        if self.phase is not Phase.NEW or self.submitter is None or self.waits_for():
            return ""
        runs = self.flow_attempt.ledger.open_runs()
        gates = self.flow_attempt.gates
        needing = [run.name for run in runs if run.needs(loop)] if gates.for_sync is gates.for_async else []
        if len(needing) >= gates.for_sync.capacity:
            held = f"a permit of the flow's task runner, held by the async task run {needing[0]!r}"
            return f"the task run {self.name!r} waits for {held}"
        # So many runs with the same tags wait at the service that this one is held back.
        before = (run for run in runs if run.phase is Phase.PROPOSED and run.tags == self.tags != frozenset())
        return next(filter(None, (run.held_up_on(loop) for run in before)), "")

    def waits_for(self) -> list[Future[Any]]:
        """Return the futures that must be done before this run can begin."""
        return self.given.inputs.unfinished()
