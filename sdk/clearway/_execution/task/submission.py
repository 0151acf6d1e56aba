"""Taking the steps of a submitted task run without a thread or coroutine that waits meanwhile.

What is waited for calls back, and the steps go on from there: on the transport's thread, which must not be
held up, as long as only the service is asked; on a worker thread or on the event loop as soon as a user's
code is run.
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

_BEGIN_SECONDS = 10.0  # that a task runner has to begin with a call, which do not count as the code's time


class Submitter:
    """Lets task runs go on by themselves: those of one map, say, which share it while they wait for permits.

    A run that waits for one has no ``Submission`` yet, so that many that wait cost little.
    """

    __slots__ = ("_context", "_executor", "_on_loop", "_started")

    def __init__(self, context: Context, *, on_loop: bool = False) -> None:
        """Make it.

        Args:
            context: What their code finds in context variables.
            on_loop: Whether it is executed on the event loop, whatever the flow's task runner is.
        """
        self._context = context
        self._on_loop = on_loop
        self._executor: TaskExecutor | None = None
        self._started = False

    def submit(self, run: TaskRun) -> Future[Any]:
        """Let a task run go on by itself, its code executed by the flow's task runner.

        Args:
            run: The run, which is in no other hands.

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
        """Let a run go on that waited for a permit, and has it."""
        self._submission(run).go_on()

    def _submission(self, run: TaskRun) -> Submission:
        return Submission(run, self._context, self._executor)


class Submission:
    """A submitted task run, between two of its steps.

    Attributes:
        run: The task run.
        tags: Its tags, by which runs that wait at the service are counted.
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
        """Take the first steps: those of a run that has to wait for others."""
        self.advance(self.steps.send, None)

    @property
    def steps(self) -> Steps:
        """The run's steps."""
        if self._steps is None:
            self._steps = task_steps(self.run)
        return self._steps

    def advance(self, resume: Callable[[Any], Effect], reply: Any) -> None:
        """Take steps until something has to be waited for."""
        if self.run.phase is Phase.ENDED:  # interrupted meanwhile
            self._permit.give_back()
            self.steps.close()
            return
        try:
            effect = resume(reply)
            while isinstance(effect, (Admit, Work)):
                if isinstance(effect, Work):
                    # On the transport's thread a read from the service would wait for itself, and any other
                    # would hold up pings and decisions; on a loop's, whatever else the loop runs.
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
        except ClearwayError:  # it is in the future's state
            self._permit.give_back()
        except BaseException:
            self._permit.give_back()
            raise
        else:
            self._begin(effect)

    def _enter(self) -> bool:
        """Return whether the run has a permit and goes on in this thread."""
        return self._permit.ask(self) and self._permitted()

    def go_on(self) -> None:
        """Go on with a permit."""
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
            # It may have been ended meanwhile, when nobody could stop it yet; or be done by now.
            if self.run.phase is Phase.ENDED and not call.is_done:
                self._executor.cancel(call)
        except BaseException as error:  # noqa: BLE001 - of the task runner, or an argument cannot be pickled
            call.fail(error)

    def _end_overdue(self, call: SubmittedCall, effect: TimedExecute) -> None:
        """End a call that runs elsewhere, whose time is over and which has not said so itself."""
        if call.take() is not None and self._executor is not None:
            self._executor.cancel(call)
            more = ", and its code could not be interrupted: what ran it was told to stop"
            self.executed(partial(effect.timed_out, more))

    def portable_call(self) -> bytes:
        """Return the code to be run as bytes."""
        from clearway._execution.workers.remote_call import dump_call  # noqa: PLC0415 - few flows use other processes

        return dump_call(
            context_of(self.run), self.run.given.shape, self._context, self.run.flow_attempt.portable
        )

    def executed(self, ended: Callable[[], Outcome]) -> None:
        """Take the steps that follow the code, on another thread. What ``ended`` raises has ended the run."""
        get_threads().submit(partial(self._in_thread, partial(self._executed, ended)))

    def _executed(self, ended: Callable[[], Outcome]) -> None:
        self.run.stop = None
        try:
            outcome = ended()
        except Exception as error:  # noqa: BLE001 - it cannot be read
            outcome = Outcome(error=error, unread=True)
        except BaseException as error:  # noqa: BLE001 - SystemExit, say
            self.advance(self.steps.throw, error)
            return
        self._permit.spend()
        self.advance(self.steps.send, outcome)

    def execute_here(self, effect: Execute | CallHooks) -> None:
        """Run the code in this thread, and take the steps that follow."""
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
        """Go on without the code, which is in a call that nothing interrupts."""
        self._permit.spend()
        get_threads().submit(partial(self._in_thread, partial(self.advance, self.steps.send, outcome)))

    def _hand_to_loop(self, effect: Execute | CallHooks) -> None:
        self.run.on_loop = True
        call_soon(self.run.flow_attempt.loops.event_loop(), self._execute_on_loop, effect)

    def _execute_on_loop(self, effect: Execute | CallHooks) -> None:
        import asyncio  # noqa: PLC0415 - loaded, since there is a loop

        self._code = asyncio.get_running_loop().create_task(self._await(effect), context=self._context.copy())
        self.run.stop = self._stop

    async def _await(self, effect: Execute | CallHooks) -> None:
        try:
            outcome = await effect.wait()
        except BaseException as error:
            get_threads().submit(partial(self._in_thread, partial(self.advance, self.steps.throw, error)))
            raise
        finally:
            self._code = self.run.stop = None  # no cycles are left behind: see the tests
            self.run.on_loop = False
        self._permit.spend()
        if isinstance(outcome, Outcome) and outcome.error is None:
            try:  # a Ctrl-C may come right here, and is the loop's
                self.advance(self.steps.send, outcome)
            except Exception:  # noqa: BLE001 - as in a thread
                self._log_flaw()
        else:  # there is something to log, or more of the user's code
            get_threads().submit(partial(self._in_thread, partial(self.advance, self.steps.send, outcome)))

    def _stop(self) -> None:
        if self._code is not None:
            call_soon(self._code.get_loop(), self._code.cancel)

    def _in_thread(self, work: Callable[[], None]) -> None:
        """Do the last that a worker thread does for a run; what ends the run must not end the thread."""
        try:
            work()
        except Exception:  # noqa: BLE001 - a flaw of ours, which must not end the thread for others
            self._log_flaw()
        except BaseException as error:  # noqa: BLE001 - the run's own state tells of it
            _log.debug("the task run %r was ended by %r", self.run.name, error)

    def _log_flaw(self) -> None:
        _log.exception("the task run %r came to an unexpected end", self.run.name)
