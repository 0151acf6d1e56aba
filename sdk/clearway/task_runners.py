"""Task runners execute the code of a flow's submitted task runs: on threads, an event loop or in processes.

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=8))
    def nightly(paths):
        return load.map(paths)

The service decides whether and when a run may start. A runner gets the code of a run that may start, executes
it and reports how it ended. To write a runner of your own, implement the protocol ``TaskRunner``.
"""

from __future__ import annotations

import os

from clearway._definition.task_runner import (
    LimitsCoroutines,
    TaskCall,
    TaskConcurrencyType,
    TaskExecutor,
    TaskRunner,
)

__all__ = [
    "ConcurrentTaskRunner",
    "ProcessPoolTaskRunner",
    "SequentialTaskRunner",
    "TaskCall",
    "TaskConcurrencyType",
    "TaskExecutor",
    "TaskRunner",
    "ThreadPoolTaskRunner",
    "run_call",
]

_MAX_WORKERS = 10_000


class SequentialTaskRunner:
    """Executes each task run when it is submitted, one after the other, async ones included."""

    concurrency_type = TaskConcurrencyType.SEQUENTIAL
    max_workers = 1

    def start(self) -> TaskExecutor:
        """Return an executor that is never used: the engine executes sequential runs itself."""
        return ConcurrentTaskRunner(max_workers=1).start()

    def __repr__(self) -> str:
        return "SequentialTaskRunner()"


class ConcurrentTaskRunner:
    """The default runner: sync tasks run on threads, async tasks on the flow's event loop, 1,000 at once."""

    concurrency_type = TaskConcurrencyType.CONCURRENT

    def __init__(self, max_workers: int | None = None) -> None:
        """Create a runner.

        Args:
            max_workers: The number of threads for the sync tasks of one flow run, from 1 to 10,000. Default:
                the setting ``CLEARWAY_MAX_THREADS``, which is 64 if unset.

        Raises:
            TypeError: ``max_workers`` is not an integer.
            ValueError: ``max_workers`` is below 1 or above 10,000.
        """
        self._max_workers = checked_max_workers(self, max_workers)

    @property
    def max_workers(self) -> int:
        """The number of threads for the sync tasks of one flow run."""
        if self._max_workers is not None:
            return self._max_workers
        from clearway._base.settings import get_settings  # noqa: PLC0415 - not needed to define a flow

        return get_settings().max_threads

    def start(self) -> TaskExecutor:
        """Return an executor that runs calls on threads of this process, started as needed."""
        from clearway._execution.threads import ThreadExecutor  # noqa: PLC0415 - loaded with the first run

        return ThreadExecutor()

    def __repr__(self) -> str:
        given = "" if self._max_workers is None else f"max_workers={self._max_workers}"
        return f"{type(self).__name__}({given})"


class ThreadPoolTaskRunner(ConcurrentTaskRunner, LimitsCoroutines):
    """Runs at most ``max_workers`` tasks of a flow run at once, on threads and the flow's event loop."""


class ProcessPoolTaskRunner:
    """Runs tasks, sync or async, in worker processes; each flow run has its own.

    Tasks, arguments and results are pickled with cloudpickle. A worker process is started when a call needs
    one, and executes one call at a time. If it dies, its run is retried, or is Crashed if it has no retries
    left; other runs are not affected. Workers do not import the program's main module; tasks defined there
    are pickled instead.
    """

    concurrency_type = TaskConcurrencyType.PARALLEL

    def __init__(self, max_workers: int | None = None) -> None:
        """Create a runner.

        Args:
            max_workers: The number of worker processes for one flow run, from 1 to 10,000. Default: the
                number of CPUs that this process may use.

        Raises:
            TypeError: ``max_workers`` is not an integer.
            ValueError: ``max_workers`` is below 1 or above 10,000.
        """
        self._max_workers = checked_max_workers(self, max_workers)

    @property
    def max_workers(self) -> int:
        """The number of worker processes for one flow run."""
        return self._max_workers or _cpus()

    def start(self) -> TaskExecutor:
        """Return an executor that runs calls in a new pool of worker processes.

        Raises:
            NotImplementedError: The operating system is not POSIX.
        """
        from clearway._execution.workers.pool import ProcessPool  # noqa: PLC0415 - few flows have one

        return ProcessPool(self.max_workers)

    def __repr__(self) -> str:
        given = "" if self._max_workers is None else f"max_workers={self._max_workers}"
        return f"{type(self).__name__}({given})"


def run_call(data: bytes) -> bytes:
    """Execute a task run's code in this process, for a flow in another process.

    Args:
        data: The bytes from ``TaskCall.to_bytes``. Unpickling them runs code, so they must be trusted.

    Returns:
        The bytes to give to ``TaskCall.finish``. Whatever the code raises is contained in them, not raised.
    """
    from clearway._execution.workers.run_call import run_call as run  # noqa: PLC0415 - for other processes only

    return run(data)


def _cpus() -> int:
    count = getattr(os, "sched_getaffinity", None)
    return len(count(0)) if count is not None else os.cpu_count() or 1


def checked_max_workers(runner: object, max_workers: object) -> int | None:
    """Return a runner's ``max_workers``, after checking it; None stays None.

    Raises:
        TypeError: ``max_workers`` is not an integer.
        ValueError: ``max_workers`` is below 1 or above 10,000.
    """
    if max_workers is None:
        return None
    owner = f"max_workers of {type(runner).__name__}"
    if not isinstance(max_workers, int) or isinstance(max_workers, bool):
        raise TypeError(f"{owner} is {max_workers!r}; it must be a whole number from 1 to {_MAX_WORKERS:,}")
    if not 1 <= max_workers <= _MAX_WORKERS:
        raise ValueError(f"{owner} is {max_workers}; it must be from 1 to {_MAX_WORKERS:,}")
    return max_workers


def checked_task_runner(owner: str, given: object) -> TaskRunner:
    """Return the task runner for a flow's ``task_runner`` option: an instance, or a class to instantiate.

    Raises:
        TypeError: ``given`` is not a task runner.
    """
    if given is None:
        return ConcurrentTaskRunner()
    runner = given() if isinstance(given, type) else given
    if not all(hasattr(runner, name) for name in ("concurrency_type", "max_workers", "start")):
        raise TypeError(
            f"task_runner of {owner} is {given!r}; it must be a task runner or the class of one, such as "
            "ConcurrentTaskRunner or ThreadPoolTaskRunner(max_workers=8)"
        )
    return runner  # type: ignore[return-value]  # its attributes' types are not checked
