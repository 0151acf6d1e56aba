"""One run of a task: what it was called with, how far it has come, and the proposals that it makes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from clearway._base.ids import new_id
from clearway._definition.run_names import make_run_name
from clearway._execution.entering import in_task_run
from clearway._execution.inputs.run_inputs import NO_INPUTS, NOTHING_MAPPED, inputs_of
from clearway._execution.outcomes import describe, interruption
from clearway._execution.returned import as_data
from clearway._states.phase import Phase
from clearway._waiting.sigint import unshielded
from clearway.context import TaskRunContext, note_cancelled
from clearway.exceptions import LostRun
from clearway.futures import AsyncTaskFuture, Future, TaskFuture
from clearway.states import Cancelled, Crashed, Pending, Running, State, StateDetails
from clearway.v1 import state_pb2
from clearway.v1.proposal_pb2 import Decision, Proposal
from clearway.v1.task_run_pb2 import TaskRunSpec

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable, Mapping

    from clearway._definition.base import TaskDefinition
    from clearway._execution.admission import Gate
    from clearway._execution.flow.attempt import FlowAttempt
    from clearway._execution.hooks import CallHooks
    from clearway._execution.inputs.found import Found
    from clearway._execution.task.retry_condition import AskCondition
    from clearway._transport.decision_future import DecisionFuture
    from clearway.exceptions import ClearwayError
    from clearway.logging import RunLogger


_MAX_REPAIRS = 10
_FENCED = "its flow run lost its lease while this process was not heard of"


class Submitter(Protocol):
    """What lets a submitted task run go on when it has a permit."""

    def go_on(self, run: TaskRun) -> None:
        """Let a run go on that waited for a permit, and has it."""
        ...


class RunInterrupted(Exception):  # noqa: N818 - what happened; nobody outside sees it
    """The run was interrupted by another thread than that which takes its steps."""


class TaskRun:
    """One run of a task.

    Attributes:
        task: The task.
        flow_attempt: What it shares with the other runs of its flow run.
        tags: Its tags: the task's, and those that were in force when it was called.
        inputs: What it was given from upstream.
        run_id: Its UUID. The service may mean another, where it knows the run from elsewhere.
        name: Its name, for people.
        future: What others wait for it by.
        settles_early: Whether its completion is taken as decided before the service has answered.
        cache_key: Under which its result is found by others; empty where it is not cached.
        phase: How far it has come.
        refreshes_cache: Whether it is not served from the cache, and replaces what that has.
        repairs: How often it was begun anew because the result that it had was gone.
        submitter: Lets it go on when it has a permit, where it was submitted.
        stop: Cancels its code, where that can be done.
        waits_for_slots: The tags for whose slots it was last told to wait.
        reported: The answer to its end, where that was proposed while its code still kept the thread.
    """

    __slots__ = (
        "_attempt",
        "_created",
        "_dynamic_key",
        "_end",
        "_number",
        "_parameters",
        "_proposal_id",
        "_resting",
        "_run_count",
        "cache_key",
        "flow_attempt",
        "future",
        "inputs",
        "name",
        "phase",
        "refreshes_cache",
        "repairs",
        "reported",
        "run_id",
        "settles_early",
        "stop",
        "submitter",
        "tags",
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
        settles_early: bool = False,
        mapped: Mapping[str, Found] = NOTHING_MAPPED,
    ) -> None:
        self.task = task
        self.flow_attempt = flow_attempt
        self.tags = tags
        self.settles_early = settles_early and not task.hooks
        self.cache_key = ""
        self.phase = Phase.NEW
        self.waits_for_slots: tuple[str, ...] = ()
        self.submitter: Submitter | None = None
        self.stop: Callable[[], None] | None = None
        self.reported: DecisionFuture | None = None
        self._parameters = parameters
        self.inputs = inputs_of(parameters, wait_for, flow_attempt.provenance, mapped)
        self._number = flow_attempt.number_of(task.task_key)
        self._dynamic_key = str(self._number)
        self._attempt = 1
        self._created = False
        self._proposal_id = ""
        self._resting: State[Any] | None = None
        self._end: State[Any] | None = None
        self._run_count = 0
        self.repairs = 0
        self.refreshes_cache = task.cache_key_fn is not None and task.refreshes_cache()
        self.name = f"{task.name}-{self._dynamic_key}"
        self.run_id = flow_attempt.run_id(task.task_key, self._dynamic_key)
        kind = AsyncTaskFuture if task.is_async and flow_attempt.is_async else TaskFuture
        self.future: Future[Any] = kind(self.run_id, self.name, self)

    # What the run was given.

    @property
    def needs_work(self) -> bool:
        """Whether the run needs a thread before it starts: to read its inputs, or for a user's code."""
        task = self.task
        return self.inputs.to_resolve or task.cache_key_fn is not None or task.task_run_name is not None

    def prepare(self) -> None:
        """Put the results of the inputs in their place.

        Raises:
            MissingResult: A result cannot be read.
        """
        if self.inputs.to_resolve:
            self._parameters = self.inputs.resolved(self._parameters)

    def take_name(self) -> None:
        """Name the run as its task wants it.

        Raises:
            Exception: What it wants cannot be made, or the user's ``task_run_name`` raised something.
        """
        made_by = self.task.task_run_name
        if made_by is not None:
            with unshielded(), in_task_run(self.context()):
                owner = f"the task {self.task.name!r}"
                self.name = make_run_name("task_run_name", owner, made_by, self._parameters)
            self.future.name = self.name

    def take_cache_key(self) -> None:
        """Make the cache key.

        Raises:
            Exception: The user's ``cache_key_fn`` raised something, or returned no key.
        """
        make_key = self.task.cache_key_fn
        if make_key is not None:
            with unshielded(), in_task_run(self.context()) as context:
                self.cache_key = self.task.checked_cache_key(make_key(context, dict(self._parameters)))

    # Waiting for a permit: see ``admission.Admitted``.

    @property
    def gate(self) -> Gate:
        """Where the run asks for a permit, if it is submitted."""
        return self.flow_attempt.async_gate if self.task.is_async else self.flow_attempt.gate

    def go_on(self) -> None:
        """Go on with a permit."""
        assert self.submitter is not None
        self.submitter.go_on(self)

    # What the run proposes.

    def propose(self, state: state_pb2.State) -> Proposal:
        """Return a proposal of ``state``, which also creates the run if the service does not know it."""
        self._proposal_id = new_id()
        if self._created:
            return Proposal(id=self._proposal_id, task_run_id=self.run_id, state=state)
        proposal = Proposal(id=self._proposal_id, state=state)
        self._specify(proposal.create_task_run)
        return proposal

    def _specify(self, spec: TaskRunSpec) -> None:
        """Set the fields of the run's spec in its place: to copy one that was made costs twice as much."""
        task = self.task
        spec.id = self.run_id
        spec.flow_run_id = self.flow_attempt.flow_run_id
        spec.task_key = task.task_key
        spec.dynamic_key = self._dynamic_key
        spec.name = self.name
        if task.version:
            spec.task_version = task.version
        if self.tags:
            spec.tags.extend(self.tags)
        if self.inputs:
            spec.inputs.extend(self.inputs.recorded())
        if task.retries:
            spec.retries = task.retries
            delays = task.retry_delay_seconds
            for seconds in delays if isinstance(delays, list) else [delays]:
                spec.retry_delays.add().FromNanoseconds(int(seconds * 1e9))
            spec.retry_jitter_factor = task.retry_jitter_factor or 0.0

    # How the run goes on.

    def move(self, phase: Phase) -> None:
        """Note how far the run has come.

        Raises:
            RunInterrupted: It was interrupted meanwhile, and goes no further.
        """
        with self.flow_attempt.guard:
            if self.phase is Phase.ENDED:
                raise RunInterrupted
            self.phase = phase

    def heard(self, decision: Decision) -> None:
        """Note that the service knows the run, and by which id."""
        self._created = True
        if decision.run_id != self.run_id:
            self._now_is(decision.run_id)

    def note_wait(self, decision: Decision) -> None:
        """Note what the service lets the run wait for."""
        self.waits_for_slots = tuple(decision.wait.blocking_tags)

    def take_spare_key(self) -> bool:
        """Become another run, where an earlier attempt of the flow left this one ended and not completed.

        Returns:
            Whether there was another key to take: one for each attempt of the flow after the first, and none
            for a run that this attempt has started.
        """
        if self._run_count or self._attempt == self.flow_attempt.number:
            return False
        self._attempt += 1
        self._dynamic_key = f"{self._number}-{self._attempt}"
        if self.task.task_run_name is None:
            self.name = self.future.name = f"{self.task.name}-{self._dynamic_key}"
        self._created = False
        self._now_is(self.flow_attempt.run_id(self.task.task_key, self._dynamic_key))
        return True

    def take_repair_key(self) -> bool:
        """Become another run, where this one ended with a result that is gone.

        Returns:
            Whether there was another key to take: a run whose results are lost again and again ends sometime.
        """
        if self.repairs == _MAX_REPAIRS:
            return False
        self.repairs += 1
        base = self._dynamic_key.partition("-again")[0]
        self._dynamic_key = f"{base}-again-{self.repairs}"
        if self.task.task_run_name is None:
            self.name = self.future.name = f"{self.task.name}-{self._dynamic_key}"
        self._created = False
        self._now_is(self.flow_attempt.run_id(self.task.task_key, self._dynamic_key))
        return True

    def _now_is(self, run_id: str) -> None:
        self.run_id = self.future.task_run_id = run_id

    def rest(self, state: State[Any]) -> None:
        """Note that the run waits for a time to come."""
        self.move(Phase.RESTING)
        self._resting = state
        self.flow_attempt.note_retry()

    def begin_code(self) -> Callable[[], Any]:
        """Return what calls the user's code, to be called as this run's next attempt.

        Raises:
            RunInterrupted: It was interrupted meanwhile, or the service has ended its flow run.
        """
        if self.flow_attempt.fenced:
            self.abandon(_FENCED)
        self.move(Phase.RUNNING)
        self._run_count += 1
        return self._call_async if self.task.is_async else self._call

    @property
    def may_run_again(self) -> bool:
        """Whether the service lets the run begin again if it fails now, as far as this process knows."""
        return self._run_count <= self.task.retries

    def _call(self) -> Any:
        with in_task_run(self.context()):
            return as_data(self.task.signature.call(self._parameters))

    async def _call_async(self) -> Any:
        with in_task_run(self.context()):
            if self.stop is not None:  # submitted: its asyncio task is nobody else's
                return as_data(await self.task.signature.call(self._parameters))
            from clearway._execution.deadlines.cancel_scope import cancel_scope  # noqa: PLC0415 - sync flows need no asyncio

            with cancel_scope(self):
                return as_data(await self.task.signature.call(self._parameters))

    def context(self) -> TaskRunContext:
        """Return what the code finds out about its run."""
        log_prints = self.task.log_prints
        return TaskRunContext(
            self.task,
            self.run_id,
            self.flow_attempt.flow_run_id,
            self.name,
            max(self._run_count, 1),
            self._parameters,
            tags=self.tags,
            log_prints=self.flow_attempt.log_prints if log_prints is None else log_prints,
        )

    def call_hooks(self, state: State[Any]) -> CallHooks:
        """Return the calls of the task's hooks for a state that the run has entered."""
        from clearway._execution.hooks import CallHooks  # noqa: PLC0415 - most tasks have none

        return CallHooks(*self._for_users(state))

    def ask_condition(self, state: State[Any], condition: Callable[..., Any]) -> AskCondition:
        """Return the question whether the run is to be tried again after a failure."""
        from clearway._execution.task.retry_condition import AskCondition  # noqa: PLC0415 - most tasks have none

        return AskCondition(*self._for_users(self.own_state(state)), condition)  # type: ignore[call-arg]  # the tuple has all others

    def _for_users(self, state: State[Any]) -> tuple[Any, ...]:
        """Return what ``CallHooks`` needs to call a user's function about the run."""
        from clearway._transport.rpcs import GET_TASK_RUN  # noqa: PLC0415 - most tasks have no such functions
        from clearway.schemas import TaskRun as KnownRun  # noqa: PLC0415
        from clearway.v1.task_run_pb2 import GetTaskRunRequest  # noqa: PLC0415

        return (
            self.task,
            state,
            lambda: GET_TASK_RUN.start(self.flow_attempt.transport, GetTaskRunRequest(id=self.run_id)),
            lambda answer, state: replace(KnownRun.from_proto(answer.task_run), state=state),
            lambda: in_task_run(self.context()),
            self.flow_attempt.loop_thread,
            self.log,
        )

    # How the run ends.

    @property
    def end(self) -> State[Any]:
        """The state that the run has ended in."""
        assert self._end is not None
        return self._end

    def settle(self, state: State[Any]) -> None:
        """Note the state that the run ended in, and tell who waits for it. The first call counts."""
        if self._ended(state) is not Phase.ENDED:
            self._let_go(state)

    def _ended(self, state: State[Any]) -> Phase:
        """Note the state that the run ended in, unless it has; return how far it had come."""
        with self.flow_attempt.guard:
            before = self.phase
            if before is not Phase.ENDED:
                self._end = state  # first, since others look at the phase without the guard
                self.phase = Phase.ENDED
        return before

    def _let_go(self, state: State[Any]) -> None:
        """Let go of what the run was given, and tell who waits for it."""
        self._parameters = {}
        self.inputs = NO_INPUTS
        if state.data is not None and state.is_completed():
            self.flow_attempt.provenance.note(state.data, self.run_id)
        self.flow_attempt.leave(self, state)
        self.future.settle(state)

    def own_state(self, state: State[Any]) -> State[Any]:
        """Return a state that the service has not given as one of this run's."""
        details = StateDetails(flow_run_id=self.flow_attempt.flow_run_id, task_run_id=self.run_id)
        return State(state.type, state.name, state.message, state.data, details=details)

    def check_end(self, decision: Decision) -> None:
        """Look at the answer to an end that was taken as decided."""
        if decision.WhichOneof("answer") != "accept":
            state = State.from_proto(decision.state)
            self.flow_attempt.ended_otherwise(state)
            self.log().warning("completed, but the service has it as %s", state)

    def log(self) -> RunLogger:
        """Return the run's logger."""
        from clearway.logging import run_logger  # noqa: PLC0415 - most runs say nothing

        return run_logger(self.flow_attempt.flow_run_id, self.run_id, self.name)

    def interrupt(self, cause: BaseException) -> None:
        """End the run wherever it is; what its code still does counts no more. Waits for nothing."""
        message = interruption(cause)
        began = self.phase in (Phase.RUNNING, Phase.ENDING)
        self._end_here(Crashed(message=message) if began else Cancelled(message=message))

    def give_up(self, error: ClearwayError) -> None:
        """End the run because the service cannot be asked about it, or refuses what it is asked."""
        self._end_here(Crashed(error, message=describe(error)))

    def lose(self, why: str) -> bool:
        """End the run, which is Crashed at the service: its process was taken for dead.

        Returns:
            Whether its code was told to stop; not where the run's end was proposed, and is yet to be decided.
        """
        if self.phase in (Phase.ENDING, Phase.ENDED):
            return False
        error = LostRun(f"the task run {self.name!r} goes no further: {why}")
        self._end_here(Crashed(error, message=why))
        return True

    def abandon(self, why: str) -> None:
        """End the run because its flow run goes no further, unless its end was proposed."""
        if self.phase is not Phase.ENDING:
            self._end_here(Cancelled(message=why))

    def _end_here(self, state: State[Any]) -> None:
        own = self.own_state(state)
        stop = self.stop
        before = self._ended(own)
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
        finally:  # last: a flow whose runs have all ended must find what was said, and wait for its answer
            self._let_go(own)

    def say_ended(self) -> None:
        """Tell the service how the run ended, whatever it was told in the moment of the interrupt."""
        state = self.end
        if isinstance(state.data, LostRun):  # as the service has said
            return
        self.flow_attempt.send_last(Proposal(id=new_id(), task_run_id=self.run_id, state=state.to_proto()))

    # What the future asks: see ``futures.Source``.

    def state_now(self) -> State[Any]:
        if self._end is not None:
            return self._end
        if self.phase is Phase.RESTING and self._resting is not None:
            return self._resting
        if self.phase in (Phase.RUNNING, Phase.ENDING):
            return self.own_state(Running(name="Retrying" if self._run_count > 1 else ""))
        return self.own_state(Pending())

    def own_loop(self) -> asyncio.AbstractEventLoop | None:
        here = self.task.is_async and not self.flow_attempt.runner.takes_async
        return self.flow_attempt.event_loop() if here else None

    def waits_for(self) -> list[Future[Any]]:
        return self.inputs.unfinished()
