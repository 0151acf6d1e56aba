"""The task runner of one flow run, at work from the first call that it is given to the end of the run."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from clearway._definition.task_runner import LimitsCoroutines, TaskConcurrencyType
from clearway._execution.admission import Gate, Gates

if TYPE_CHECKING:
    from clearway._definition.task_runner import TaskExecutor, TaskRunner

_ASYNC_AT_ONCE = (
    1_000  # coroutines of one flow run; each costs some kilobytes, and is useful only while it waits
)


class StartedRunner:
    """A flow run's task runner.

    Attributes:
        sequential: Whether a task run is run to its end where it is submitted.
        takes_async: Whether async tasks are executed by it too, rather than on the flow's event loop.
    """

    def __init__(self, runner: TaskRunner) -> None:
        self._runner = runner
        self._guard = threading.Lock()
        self._executor: TaskExecutor | None = None
        self.sequential = runner.concurrency_type is TaskConcurrencyType.SEQUENTIAL
        self.takes_async = runner.concurrency_type is TaskConcurrencyType.PARALLEL

    def gates(self) -> Gates:
        """Return the permits of sync and of async task runs of one attempt, which may be the same."""
        runner = self._runner
        gate = Gate(runner.max_workers)
        if self.takes_async or isinstance(runner, LimitsCoroutines):
            return Gates(gate, gate)
        return Gates(gate, Gate(_ASYNC_AT_ONCE))

    def executor(self) -> TaskExecutor:
        """Return what executes calls, started when asked for the first time."""
        executor = self._executor
        if executor is None:
            with self._guard:
                executor = self._executor
                if executor is None:
                    executor = self._executor = self._runner.start()
        return executor

    def stop(self) -> None:
        """Let it go, if it was started."""
        with self._guard:
            executor, self._executor = self._executor, None
        if executor is not None:
            executor.stop()
