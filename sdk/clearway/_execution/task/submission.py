"""Executing the steps of a submitted task run without a thread or coroutine that waits for it.

Each effect calls back when it is done, and the steps resume there. While only the service is involved that is
the transport's thread, which must not block; a user's code runs on a worker thread or on the event loop.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextvars import Context
from functools import partial
from typing import TYPE_CHECKING, Any

from clearway._base.clock import get_clock
from clearway._base.settings import get_settings
from clearway._execution.deadlines.timeouts import LeftBehind, TimedExecute
from clearway._execution.deadlines.timer import get_timer
from clearway._execution.effects import Admit, Effect, Execute, Outcome, Propose, Sleep, Steps, WaitFor, Work
from clearway._execution.hooks import CallHooks
from clearway._execution.task.call import SubmittedCall
from clearway._execution.task.permit import Permit
from clearway._execution.task.run import TaskRun
from clearway._execution.task.steps import task_steps
from clearway._execution.task.user_code import context_of, needs_thread
from clearway._execution.threads import ThreadExecutor, get_threads
from clearway._states.phase import Phase
from clearway._transport.decision_future import DecisionFuture
from clearway._waiting.loop_calls import call_soon
from clearway.exceptions import ClearwayError
from clearway.futures import Future
from clearway.v1.proposal_pb2 import WAIT_REASON_CACHE_LEADER, Decision

if TYPE_CHECKING:
    import asyncio

    from clearway._definition.task_runner import TaskExecutor

_log = logging.getLogger("clearway.engine")

_BEGIN_SECONDS = 10.0  # how long a task runner may take to start a call; does not count towards its timeout


class Submitter:
    """Starts task runs in the background. The runs of one map share one.

    A run that waits for a permit has no ``Submission`` yet, so thousands of waiting runs cost little.
    """

    __slots__ = ("_context", "_executor", "_on_loop", "_started")

    def __init__(self, context: Context, *, on_loop: bool = False) -> None:
        """Make it.

        Args:
            context: The context variables that the code sees.
            on_loop: Whether to execute the code on the event loop, whatever the flow's task runner.
        """
        self._context = context
        self._on_loop = on_loop
        self._executor: TaskExecutor | None = None
        self._started = False

    def submit(self, run: TaskRun) -> Future[Any]:
        """Start a task run in the background; the flow's task runner executes its code.

        Args:
            run: A new run, not submitted or driven otherwise.

        Returns:
            The run's future.

        Raises:
            Exception: The task runner could not be started.
        """
        if not self._started:
            runner = run.flow_attempt.runner
            if not self._on_loop and (runner.takes_async or not run.task.is_async):
                self._executor = runner.executor()
            self._started = True
        run.flow_attempt.ledger.enter(run)
        run.submitter = self
        if run.given.inputs.unfinished():
            self._submission(run).begin()
        elif run.gate.enter(run):
            self.go_on(run)
        return run.future

    def go_on(self, run: TaskRun) -> None:
        """Resume a run that waited for a permit and now holds one."""
        self._submission(run).go_on()

    def _submission(self, run: TaskRun) -> Submission:
        return Submission(run, self._context, self._executor)


class Submission:
    """The execution of one submitted task run.

    Attributes:
        run: The task run.
        tags: Its tags; the gate counts the runs that wait at the service by them.
    """

    __slots__ = (
        "_code",
        "_context",
        "_executor",
        "_permit",
        "_steps",
        "run",
        "tags",
    )

    def __init__(self, run: TaskRun, context: Context, executor: TaskExecutor | None) -> None:
        self.run = run
        self.tags = run.tags
        self._steps: Steps | None = None
        self._context = context
        self._executor = executor
        self._permit = Permit(run.gate)
        self._code: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Start a run that has to wait for other runs first."""
        self.advance(self.steps.send, None)

    @property
    def steps(self) -> Steps:
        """The run's steps."""
        if self._steps is None:
            self._steps = task_steps(self.run)
        return self._steps

    def advance(self, resume: Callable[[Any], Effect], reply: Any) -> None:
        """Execute steps until one has to wait."""
        if self.run.phase is Phase.ENDED:  # interrupted meanwhile
            self._permit.give_back()
            self.steps.close()
            return
        try:
            effect = resume(reply)
            while isinstance(effect, (Admit, Work)):
                if isinstance(effect, Work):
                    # On the transport's thread a read from the service would deadlock, and any other read
                    # would delay heartbeats and decisions; on an event loop it would block other coroutines.
                    if not (effect.light or get_threads().is_current()):
                        get_threads().submit(partial(self._in_thread, partial(self._work, effect)))
                        return
                    effect = self.steps.send(effect.block())
                elif self._permit.is_held or self._enter():
                    effect = self.steps.send(None)
                else:
                    return
        except StopIteration:
            self._permit.give_back()
        except ClearwayError:  # the future's state holds it
            self._permit.give_back()
        except BaseException:
            self._permit.give_back()
            raise
        else:
            self._begin(effect)

    def _enter(self) -> bool:
        """Take a permit; return whether the run continues in this thread."""
        return self._permit.ask(self) and self._permitted()

    def go_on(self) -> None:
        """Resume with a permit."""
        if self._permitted():
            self.advance(self.steps.send, None)

    def _permitted(self) -> bool:
        self._permit.hold()
        if self.run.phase is Phase.NEW and needs_thread(self.run):
            get_threads().submit(self._go_on_in_thread)
            return False
        return True

    def _go_on_in_thread(self) -> None:
        self._in_thread(partial(self._context.copy().run, self.advance, self.steps.send, None))

    def _work(self, effect: Work) -> None:
        self.advance(self.steps.send, effect.block())

    def _begin(self, effect: Effect) -> None:
        if isinstance(effect, Propose):
            self._propose(effect)
        elif isinstance(effect, Execute):
            self._execute(effect)
        elif isinstance(effect, Sleep):
            self._permit.give_back()
            get_clock().call_later(effect.seconds, self.advance, self.steps.send, None)
        elif isinstance(effect, CallHooks):
            self._call_hooks(effect)
        elif isinstance(effect, WaitFor):
            self._wait_for(iter(effect.futures))
        else:
            raise TypeError(f"a task run cannot wait for {effect!r}")

    def _wait_for(self, futures: Iterator[Future[Any]]) -> None:
        for future in futures:
            if not future.is_done():
                future.when_done(partial(self._wait_for, futures))
                return
        self.advance(self.steps.send, None)

    # Asking the service.

    def _propose(self, effect: Propose) -> None:
        future = effect.transport.propose(effect.proposal, self._queued)
        self._permit.proposed()
        if self.run.phase is Phase.ENDED:
            effect.transport.withdraw(effect.proposal.id)
            self.run.say_ended()
        future.add_done_callback(self._decided)

    def _queued(self, decision: Decision) -> None:
        self.run.note_wait(decision)
        self._permit.queued(self, for_slot=decision.wait.reason != WAIT_REASON_CACHE_LEADER)

    def _decided(self, future: DecisionFuture) -> None:
        error = None if future.cancelled() else future.exception()
        accepted = not future.cancelled() and error is None and future.result().HasField("accept")
        self._permit.decided(self, accepted=accepted)
        if future.cancelled():  # withdrawn, since the run was interrupted
            self._permit.give_back()
        elif error is not None:
            self.advance(self.steps.throw, error)
        else:
            self.advance(self.steps.send, future.result())

    # Running the code.

    def _call_hooks(self, effect: CallHooks) -> None:
        if self.run.task.is_async:
            self._hand_to_loop(effect)
        else:
            get_threads().submit(partial(self.execute_here, effect))

    def _execute(self, effect: Execute) -> None:
        if self._executor is None:
            self._hand_to_loop(effect)
        else:
            call = SubmittedCall(self, self.run, effect)
            if type(self._executor) is ThreadExecutor:
                self._executor.execute(call)
            else:
                get_threads().submit(partial(self._hand_over, call, effect))

    def _hand_over(self, call: SubmittedCall, effect: Execute) -> None:
        """Give a call to the task runner, which may pickle and send it."""
        assert self._executor is not None
        self.run.stop = partial(self._executor.cancel, call)
        if isinstance(effect, TimedExecute):
            seconds = effect.seconds + get_settings().timeout_grace + _BEGIN_SECONDS
            end = partial(get_threads().submit, partial(self._end_overdue, call, effect))
            call.timer_call = get_timer().call_later(seconds, end)
        try:
            self._executor.execute(call)
            # The run may have ended before ``stop`` was set; or the call may be done by now.
            if self.run.phase is Phase.ENDED and not call.is_done:
                self._executor.cancel(call)
        except BaseException as error:  # noqa: BLE001 - the task runner's, or an argument cannot be pickled
            call.fail(error)

    def _end_overdue(self, call: SubmittedCall, effect: TimedExecute) -> None:
        """End a call that runs elsewhere and has not reported its own timeout."""
        if call.take() is not None and self._executor is not None:
            self._executor.cancel(call)
            more = ", and its code could not be interrupted: what ran it was told to stop"
            self.executed(partial(effect.timed_out, more))

    def portable_call(self) -> bytes:
        """Return the call serialized, for execution in another process."""
        from clearway._execution.workers.call_bytes import dump_call  # noqa: PLC0415 - few flows use other processes

        return dump_call(
            context_of(self.run), self.run.given.shape, self._context, self.run.flow_attempt.portable
        )

    def executed(self, ended: Callable[[], Outcome]) -> None:
        """Run the steps that follow the code, on another thread. An exception from ``ended`` ends the run."""
        get_threads().submit(partial(self._in_thread, partial(self._executed, ended)))

    def _executed(self, ended: Callable[[], Outcome]) -> None:
        self.run.stop = None
        try:
            outcome = ended()
        except Exception as error:  # noqa: BLE001 - the result cannot be read
            outcome = Outcome(error=error, unread=True)
        except BaseException as error:  # noqa: BLE001 - SystemExit, say
            self.advance(self.steps.throw, error)
            return
        self._permit.spend()
        self.advance(self.steps.send, outcome)

    def execute_here(self, effect: Execute | CallHooks) -> None:
        """Run the code in this thread, then the steps that follow it."""
        if isinstance(effect, TimedExecute):
            effect.on_overrun, effect.leaves_behind = self._leave_behind, True
        try:
            outcome = self._context.copy().run(effect.block)
        except LeftBehind:
            return
        except BaseException as error:  # noqa: BLE001 - SystemExit, say: it ends the run, not this thread
            self._in_thread(partial(self.advance, self.steps.throw, error))
        else:
            self._permit.spend()
            self._in_thread(partial(self.advance, self.steps.send, outcome))

    def _leave_behind(self, outcome: Outcome) -> None:
        """Continue the run without its code, which is stuck in a call that cannot be interrupted."""
        self._permit.spend()
        get_threads().submit(partial(self._in_thread, partial(self.advance, self.steps.send, outcome)))

    def _hand_to_loop(self, effect: Execute | CallHooks) -> None:
        self.run.on_loop = True
        call_soon(self.run.flow_attempt.loops.event_loop(), self._execute_on_loop, effect)

    def _execute_on_loop(self, effect: Execute | CallHooks) -> None:
        import asyncio  # noqa: PLC0415 - loaded already, since there is a loop

        self._code = asyncio.get_running_loop().create_task(self._await(effect), context=self._context.copy())
        self.run.stop = self._stop

    async def _await(self, effect: Execute | CallHooks) -> None:
        try:
            outcome = await effect.wait()
        except BaseException as error:
            get_threads().submit(partial(self._in_thread, partial(self.advance, self.steps.throw, error)))
            raise
        finally:
            self._code = self.run.stop = None  # leaves no reference cycles: see the tests
            self.run.on_loop = False
        self._permit.spend()
        if isinstance(outcome, Outcome) and outcome.error is None:
            try:  # a Ctrl-C that arrives here belongs to the loop
                self.advance(self.steps.send, outcome)
            except Exception:  # noqa: BLE001 - as in a thread
                self._log_flaw()
        else:  # there is an error to log, or more of the user's code to run
            get_threads().submit(partial(self._in_thread, partial(self.advance, self.steps.send, outcome)))

    def _stop(self) -> None:
        if self._code is not None:
            call_soon(self._code.get_loop(), self._code.cancel)

    def _in_thread(self, work: Callable[[], None]) -> None:
        """Do a run's last work on a worker thread; what ends the run must not end the thread."""
        try:
            work()
        except Exception:  # noqa: BLE001 - a bug of ours, which must not end the thread for others
            self._log_flaw()
        except BaseException as error:  # noqa: BLE001 - it is in the run's state
            _log.debug("the task run %r was ended by %r", self.run.name, error)

    def _log_flaw(self) -> None:
        _log.exception("the task run %r ended unexpectedly", self.run.name)
