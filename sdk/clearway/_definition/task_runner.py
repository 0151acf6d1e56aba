"""What a task runner is, to those who define flows, those who run them, and those who write one."""

from __future__ import annotations

import enum
from typing import Protocol


class TaskConcurrencyType(enum.Enum):
    """What a runner does with submitted task runs."""

    __module__ = "clearway.task_runners"

    SEQUENTIAL = "sequential"
    """Each is run to its end by the call that submits it. The executor is given nothing."""

    CONCURRENT = "concurrent"
    """The executor is given the code of sync tasks; that of async tasks runs on the flow's event loop."""

    PARALLEL = "parallel"
    """The executor is given the code of sync and async tasks."""


class TaskCall(Protocol):
    """The code of one task run, to be executed once.

    Either call ``run()`` on a thread of this process. Or send ``to_bytes()`` elsewhere, have ``run_call``
    called with it there, and give what that returns to ``finish``. Where neither comes to an end, say so with
    ``fail``. Any thread may do any of these; what ends the call first counts.
    """

    @property
    def name(self) -> str:
        """The task run's name, for people."""
        ...

    @property
    def task_run_id(self) -> str:
        """The task run's UUID."""
        ...

    def run(self) -> None:
        """Execute the code in this thread, and see the run on its way. Raises nothing."""
        ...

    def to_bytes(self) -> bytes:
        """Return the call as bytes, for ``run_call`` in another process.

        Raises:
            NotPicklable: The task or an argument cannot be pickled; the message says which and why.
        """
        ...

    def finish(self, reply: bytes) -> None:
        """Take what ``run_call`` returned. Returns at once, and raises nothing."""
        ...

    def fail(self, error: BaseException) -> None:
        """End the call with an exception, as if its code had raised it. Returns at once, and raises nothing.

        A ``WorkerDied`` makes the run Crashed, or has it tried again if it has retries left.
        """
        ...


class TaskExecutor(Protocol):
    """A task runner at work for one flow run. Its methods are called by several threads, also at once."""

    def execute(self, call: TaskCall) -> None:
        """Begin to execute a call, on a thread that may be held up a while. What is raised fails the run."""
        ...

    def cancel(self, call: TaskCall) -> None:
        """Stop a call whose run was ended, where that can be done; how it ends counts no more.

        It may come more than once, and for a call that has ended.
        """
        ...

    def stop(self) -> None:
        """Let go of threads and processes: the flow run has ended. Must not wait for long."""
        ...


class TaskRunner(Protocol):
    """Where the code of submitted task runs is executed. One runner may serve many flow runs at once."""

    @property
    def concurrency_type(self) -> TaskConcurrencyType:
        """What it does with submitted task runs."""
        ...

    @property
    def max_workers(self) -> int:
        """How many calls of one flow run are under way at once, from 1: further runs are not started yet."""
        ...

    def start(self) -> TaskExecutor:
        """Begin to work for a flow run; called when that submits its first task run."""
        ...


class LimitsCoroutines:
    """A task runner whose ``max_workers`` also bounds the coroutines on the flow's event loop."""


for _kind in (TaskCall, TaskExecutor, TaskRunner):
    _kind.__module__ = "clearway.task_runners"
