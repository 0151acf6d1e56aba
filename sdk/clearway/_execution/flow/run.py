"""One run of a flow: its arguments, its attempts, and the messages about it."""

from __future__ import annotations

from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Final

from clearway._base.clock import now
from clearway._base.error_kinds import RunErrorKind
from clearway._base.ids import new_id
from clearway._base.settings import get_settings
from clearway._base.timestamps import timestamp_from_proto
from clearway._definition.policy import Keeping
from clearway._display import progress
from clearway._execution.flow.attempt import AttemptFacts, FlowAttempt
from clearway._execution.flow.choice import RunChoice
from clearway._execution.flow.end_log import EndLog
from clearway._execution.flow.names import run_name
from clearway._execution.flow.replay import Replay
from clearway._execution.flow.runner import StartedRunner
from clearway._execution.flow.specs import flow_run_spec, tracking_spec
from clearway._execution.inputs.provenance import NO_PROVENANCE
from clearway._execution.inputs.run_inputs import RunInputs
from clearway._execution.outcomes import interruption, of_kind, stopped_early
from clearway._execution.shutdown.fencing import HeldUp, live_runs, unwatch, watch
from clearway._execution.shutdown.interrupt_flush import InterruptFlush
from clearway._transport.protocol import Transport
from clearway._transport.rpcs import CREATE_FLOW_RUN, CREATE_TASK_RUN
from clearway.context import current_tags, note_cancelled
from clearway.exceptions import LostRun
from clearway.states import Cancelled, Crashed, State, StateDetails, StateType
from clearway.v1 import state_pb2
from clearway.v1.flow_run_pb2 import CreateFlowRunRequest, CreateFlowRunResponse
from clearway.v1.proposal_pb2 import Proposal
from clearway.v1.task_run_pb2 import CreateTaskRunRequest, CreateTaskRunResponse

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable

    from clearway._definition.base import FlowDefinition
    from clearway._definition.signature import CallShape
    from clearway.logging import RunLogger

_NAMES_SHOWN: Final = 10


class FlowRun:
    """One run of a flow.

    Attributes:
        flow: The flow.
        transport: The way to the service, to be set before the first step.
        parent: What the runs of the flow that called it share; None at the top.
        tracking: The task run that stands for it in its parent; None at the top.
        parameters: What it was called with, by parameter.
        shape: How the call gave them, where that makes a difference.
        tags: The tags that were in force when it was called.
        inputs: What it was given from upstream.
        run_id: Its UUID.
        root_id: The UUID of the outermost flow run, which may be this one.
        name: Its name, for people.
        scheduled_start_time: When it was scheduled to start; else when it was called.
        attempt: The current attempt; None before, between and after attempts.
        attempt_number: The number of the current attempt, from 1.
        over: Whether it has ended, and only its hooks are left to be called.
        raises: Whether the exception that ends it is raised to the caller, rather than into a state.
        interrupted_by: What interrupted the thread that waits for it, if it runs on another.
        end_log: Says how it ended.
        abandoned_as: The state that ``abandon`` has ended it in.
        wrong_parameters: Why the arguments fail validation; None if they pass.
        stop: Cancels its code; set while async code is running.
    """

    transport: Transport
    abandoned_as: State[Any]
    stop: Callable[[], None] | None = None

    def __init__(
        self,
        flow: FlowDefinition,
        parent: FlowAttempt | None,
        parameters: dict[str, Any],
        wait_for: Iterable[Any] | None,
        shape: CallShape | None = None,
    ) -> None:
        self.flow = flow
        self.shape = shape
        self.parent = parent
        self.inputs = RunInputs(parameters, wait_for, NO_PROVENANCE if parent is None else parent.provenance)
        self.run_id = new_id()
        self.name = run_name()
        self.attempt_number = 0
        self.over = False
        self.raises = False
        self.interrupted_by: BaseException | None = None
        self.end_log = EndLog()
        self.wrong_parameters: Exception | None = None
        self.parameters = parameters
        self.tags = current_tags()
        self._tracked_by = ""
        self.tracking = None if parent is None else RunChoice(parent, f"flow:{flow.name}")
        self._replay = Replay() if flow.retries else None
        self._calls: list[Future[Any]] = []
        self._runner = StartedRunner(flow.task_runner)
        self.attempt: FlowAttempt | None = None
        self.scheduled_start_time = now()
        self.root_id = self.run_id if parent is None else parent.facts.root_flow_run_id

    # What is sent to the service.

    def create_tracking_run(self) -> Future[CreateTaskRunResponse]:
        """Create the run that stands for this one in its parent; it may exist already."""
        assert self.parent is not None
        assert self.tracking is not None
        self.tracking.use()
        parent_id = self.parent.facts.flow_run_id
        self._tracked_by = self.tracking.run_id
        spec = tracking_spec(self.flow, self.tracking, parent_id, self.tags, self.inputs)
        future = CREATE_TASK_RUN.start(self.transport, CreateTaskRunRequest(task_run=spec))
        self._calls.append(future)
        return future

    def tracked_by(self, task_run_id: str) -> None:
        """Note the id that the service has of the run that stands for this one in its parent."""
        assert self.tracking is not None
        self.tracking.run_id = self._tracked_by = task_run_id

    def create(self) -> Future[CreateFlowRunResponse]:
        """Create the run."""
        spec = flow_run_spec(self.flow, self.run_id, self.name, self.parameters, self.tags, self._tracked_by)
        future = CREATE_FLOW_RUN.start(self.transport, CreateFlowRunRequest(flow_run=spec))
        self._calls.append(future)
        return future

    def created(self, response: CreateFlowRunResponse) -> None:
        """Note the start time that the service scheduled for the run."""
        if response.flow_run.HasField("expected_start_time"):
            self.scheduled_start_time = timestamp_from_proto(response.flow_run.expected_start_time)

    def propose(self, state: state_pb2.ProposedState) -> Proposal:
        """Return a proposal of ``state``."""
        return Proposal(id=new_id(), flow_run_id=self.run_id, state=state)

    # Running the code.

    def begin(self) -> FlowAttempt:
        """Start the next attempt."""
        self.attempt_number += 1
        self.end_log.begin()
        if self._replay is not None:
            self._replay.begin(self.attempt_number)
        facts = AttemptFacts(
            self.run_id,
            self.name,
            self.root_id,
            self.attempt_number,
            self.keeping,
            self._log_prints(),
            self.flow.name,
        )
        self.attempt = FlowAttempt(self.transport, facts, self._running_loop(), self._replay, self._runner)
        watch(self)
        progress.begin(self, self.attempt.ledger)
        return self.attempt

    @property
    def keeping(self) -> Keeping:
        """How results are stored: its own, and those of tasks that have no setting of their own."""
        own = self.flow.keeping
        return own if self.parent is None else own.within(self.parent.facts.keeping)

    def _log_prints(self) -> bool:
        if self.flow.log_prints is not None:
            return self.flow.log_prints
        return get_settings().logging_log_prints if self.parent is None else self.parent.facts.log_prints

    def _running_loop(self) -> asyncio.AbstractEventLoop | None:
        if not self.flow.is_async:
            return None
        import asyncio  # noqa: PLC0415 - loaded already, since there is a loop

        return asyncio.get_running_loop()

    @property
    def present_attempt(self) -> FlowAttempt:
        """The current attempt; there must be one."""
        assert self.attempt is not None
        return self.attempt

    def attempt_to_name(self) -> FlowAttempt:
        """Return an attempt for the code that names the run, which comes before the first one."""
        facts = AttemptFacts(self.run_id, self.name, self.run_id, flow_name=self.flow.name)
        return FlowAttempt(self.transport, facts, None, None, self._runner)

    # How it ends, early or not.

    def keep_result(self, result: Any) -> None:
        """Keep a result that was not stored, for the parent's next attempt."""
        if self.parent is not None:
            self.parent.keep(self._tracked_by, result)

    def tell_parent(self, state: State[Any]) -> None:
        """Report the end to the flow run that called this one."""
        if self.parent is not None:
            assert self.tracking is not None
            self.tracking.ended(state)
            self.parent.ledger.ended(state, subflow=True)
            self.parent.ledger.include(self.end_log.counts)
            self.parent.provenance.note_subflow(self.run_id, self._tracked_by)
            if state.is_completed():
                self.parent.provenance.note(state.data, self._tracked_by)

    def rest(self) -> None:
        """End the current attempt, if there is one."""
        if self.attempt is not None:
            unwatch(self)
            progress.end_attempt(self, self.attempt.ledger)
            self.end_log.counts = self.attempt.ledger.all_counts()
            self.attempt.close()
            self.attempt = None

    def close(self) -> None:
        """Release everything that the run holds, however it ended."""
        self.rest()
        self._runner.stop()

    def fence(self, run_ids: frozenset[str]) -> None:
        """Start no more tasks of the run, if the service has ended it; ``lose`` gives the reason later."""
        if self.attempt is not None and self.run_id in run_ids:
            self.attempt.fence()

    def lose(self, run_ids: frozenset[str], why: str) -> None:
        """Stop what the service has ended: the flow's own code, or task runs.

        Args:
            run_ids: The flow runs and task runs that the service has crashed.
            why: The service's reason.
        """
        attempt = self.attempt
        if attempt is None:
            return
        names = attempt.lose(run_ids, why)
        if attempt.lost:
            note_cancelled(self.run_id)
            if self.stop is not None:
                self.stop()
            names.insert(0, f"the flow {self.name!r}")
        if names:
            shown = ", ".join(names[:_NAMES_SHOWN])
            more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
            self.log().warning("the service has ended runs of this process, which %s: %s%s", why, shown, more)

    def needing(self, loop: asyncio.AbstractEventLoop) -> dict[str, str]:
        """Return the names of its task runs that an event loop has to execute or continue, by UUID."""
        runs = [] if self.attempt is None else self.attempt.ledger.open_runs()
        return {run.run_id: run.name for run in runs if run.needs(loop)}

    def held_up_on(self, loop: asyncio.AbstractEventLoop) -> str:
        """Return why it cannot continue while an event loop is blocked; empty if it can."""
        attempt = self.attempt
        if attempt is None:
            return ""
        subflows = [run for run in live_runs() if run.is_below(attempt)]
        runs: list[HeldUp] = [*attempt.ledger.open_runs(), *subflows]
        return next(filter(None, (run.held_up_on(loop) for run in runs)), "")

    def is_below(self, attempt: object) -> bool:
        """Return whether it is a subflow that was called in an attempt of another flow run."""
        return self.parent is attempt

    def lost_state(self) -> State[Any]:
        """Return the state in which ``lose`` ended the run."""
        assert self.attempt is not None
        why = self.attempt.lost
        error = LostRun(f"the flow run {self.name!r} was stopped: {why}")
        details = StateDetails(flow_run_id=self.run_id)
        return of_kind(RunErrorKind.LOST, State(StateType.CRASHED, "", why, error, details=details))

    def abandon(self, cause: BaseException) -> InterruptFlush:
        """End the run at once, and all its task runs.

        Returns:
            An effect that waits for the service to confirm that.
        """
        cause = self.interrupted_by or cause
        message = interruption(cause)
        state = stopped_early(Cancelled if self.attempt is None else Crashed, message, cause)
        self.abandoned_as = state
        flush = InterruptFlush(before=[call for call in self._calls if not call.done()])
        if self.attempt is not None:
            self.attempt.interrupt(cause)
            flush.said.extend(self.attempt.sent.unanswered())
            self.end_log.counts = self.attempt.ledger.all_counts()
        # What interrupts a flow interrupts its subflows too, and the terminal needs to say it once.
        is_alone = self.parent is None or type(cause).__name__ == "CancelledError"
        self.end_log.abandoned(self.log(), cause, shown=is_alone)
        if self.parent is not None:
            self.parent.ledger.interrupted(state)
            self.parent.ledger.include(self.end_log.counts)

        def say(_: object) -> None:
            proposals = [self.propose(state.to_proto())]
            if self._tracked_by:  # whose state follows that of the flow run, if there is one yet
                proposals.append(Proposal(id=new_id(), task_run_id=self._tracked_by, state=state.to_proto()))
            flush.said.extend(map(self.transport.propose, proposals))

        if flush.before:  # one of them may still create the run
            flush.before[-1].add_done_callback(say)
        else:
            say(None)
        return flush

    def log_end(self, state: State[Any], detail: str, error: Exception | None) -> None:
        """Log how the run ended; see ``EndLog.ended``."""
        if self.attempt is not None:
            self.end_log.counts = self.attempt.ledger.all_counts()
        to_caller = self.raises and self.parent is None
        display = progress.leaves_line(self)
        self.end_log.ended(self.log(), state, detail, error, to_caller=to_caller, display=display)

    def log(self) -> RunLogger:
        """Return the run's logger."""
        from clearway.logging import run_logger  # noqa: PLC0415 - reads settings

        return run_logger(self.run_id, "", self.name, flow_name=self.flow.name)
