"""The task runner of one flow run: started at the first call, stopped at the run's end."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from clearway._definition.task_runner import LimitsCoroutines, TaskConcurrencyType
from clearway._execution.admission import Gate, Gates

if TYPE_CHECKING:
    from clearway._definition.task_runner import TaskExecutor, TaskRunner

_ASYNC_AT_ONCE = 1_000  # coroutines of one flow run at a time; each costs a few kilobytes


class StartedRunner:
    """A flow run's task runner, started when first used.

    Attributes:
        sequential: Whether a submitted task run is executed to its end at once.
        takes_async: Whether it executes async tasks too; otherwise they run on the flow's event loop.
    """

    def __init__(self, runner: TaskRunner) -> None:
        self._runner = runner
        self._guard = threading.Lock()
        self._executor: TaskExecutor | None = None
        self.sequential = runner.concurrency_type is TaskConcurrencyType.SEQUENTIAL
        self.takes_async = runner.concurrency_type is TaskConcurrencyType.PARALLEL

    def gates(self) -> Gates:
        """Return the gates for sync and async task runs of one attempt; both may be the same gate."""
        runner = self._runner
        gate = Gate(runner.max_workers)
        if self.takes_async or isinstance(runner, LimitsCoroutines):
            return Gates(gate, gate)
        return Gates(gate, Gate(_ASYNC_AT_ONCE))

    def executor(self) -> TaskExecutor:
        """Return the executor of calls, starting it on first use."""
        executor = self._executor
        if executor is None:
            with self._guard:
                executor = self._executor
                if executor is None:
                    executor = self._executor = self._runner.start()
        return executor

    def stop(self) -> None:
        """Stop the executor, if it was started."""
        with self._guard:
            executor, self._executor = self._executor, None
        if executor is not None:
            executor.stop()
