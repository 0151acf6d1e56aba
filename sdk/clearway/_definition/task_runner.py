"""The protocols of task runners: what a runner provides, and what it gets to execute."""

from __future__ import annotations

import enum
from typing import Protocol


class TaskConcurrencyType(enum.Enum):
    """How a runner executes submitted task runs."""

    __module__ = "clearway.task_runners"

    SEQUENTIAL = "sequential"
    """``submit`` executes the run before it returns; the executor is not used."""

    CONCURRENT = "concurrent"
    """The executor gets the calls of sync tasks; those of async tasks run on the flow's event loop."""

    PARALLEL = "parallel"
    """The executor gets the calls of sync and async tasks."""


class TaskCall(Protocol):
    """The code of one task run, which an executor must execute once.

    Either call ``run()`` on a thread of this process; or send ``to_bytes()`` to another process, call
    ``run_call`` with it there, and pass the bytes that it returns to ``finish``. If neither is possible, call
    ``fail``. All methods are thread-safe; the first one that ends the call decides how it ends.
    """

    @property
    def name(self) -> str:
        """The task run's display name."""
        ...

    @property
    def task_run_id(self) -> str:
        """The task run's UUID."""
        ...

    def run(self) -> None:
        """Execute the code on this thread and report how it ended. Does not raise."""
        ...

    def to_bytes(self) -> bytes:
        """Return the pickled call, for ``run_call`` in another process.

        Raises:
            NotPicklable: The task or an argument cannot be pickled; the message says which and why.
        """
        ...

    def finish(self, reply: bytes) -> None:
        """End the call with the bytes that ``run_call`` returned. Does not block and does not raise."""
        ...

    def fail(self, error: BaseException) -> None:
        """End the call with an exception, as if its code had raised it. Does not block and does not raise.

        With a ``WorkerDied``, the run is retried, or is Crashed if it has no retries left.
        """
        ...


class TaskExecutor(Protocol):
    """Executes the calls of one flow run. Its methods must be thread-safe."""

    def execute(self, call: TaskCall) -> None:
        """Start executing a call. May block for a while; an exception fails the run."""
        ...

    def cancel(self, call: TaskCall) -> None:
        """Stop a call whose run has already been ended, if possible; its outcome is ignored.

        May be called more than once, and for a call that has ended.
        """
        ...

    def stop(self) -> None:
        """Release threads and processes, because the flow run has ended. Must not block for long."""
        ...


class TaskRunner(Protocol):
    """Executes the code of submitted task runs. One runner may serve many flow runs at once."""

    @property
    def concurrency_type(self) -> TaskConcurrencyType:
        """How the runner executes submitted task runs."""
        ...

    @property
    def max_workers(self) -> int:
        """How many calls of one flow run are executed at once, at least 1; further runs wait to start."""
        ...

    def start(self) -> TaskExecutor:
        """Return an executor for a flow run; called when the flow run submits its first task run."""
        ...


class LimitsCoroutines:
    """Marks a task runner whose ``max_workers`` also limits the coroutines on the flow's event loop."""


for _kind in (TaskCall, TaskExecutor, TaskRunner):
    _kind.__module__ = "clearway.task_runners"
