"""Task runners: where the code of a flow's submitted task runs is executed.

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=8))
    def nightly(paths):
        return load.map(paths)

Whether and when a run may start is decided by the service; a runner is given the code of one that may,
executes it somewhere, and says how it ended. Runners of your own follow the protocol ``TaskRunner``.
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
    """Runs each task run to its end where it is submitted, one after the other; also async ones."""

    concurrency_type = TaskConcurrencyType.SEQUENTIAL
    max_workers = 1

    def start(self) -> TaskExecutor:
        """Return what is given nothing."""
        return ConcurrentTaskRunner(max_workers=1).start()

    def __repr__(self) -> str:
        return "SequentialTaskRunner()"


class ConcurrentTaskRunner:
    """The default: runs sync tasks on threads, and async ones on the flow's event loop, 1,000 at once."""

    concurrency_type = TaskConcurrencyType.CONCURRENT

    def __init__(self, max_workers: int | None = None) -> None:
        """Make a runner.

        Args:
            max_workers: How many threads the sync tasks of one flow run have at once; by default the setting
                ``CLEARWAY_MAX_THREADS``, which is 64 unless it is set.

        Raises:
            TypeError: ``max_workers`` is no whole number.
            ValueError: It is not from 1 to 10,000.
        """
        self._max_workers = checked_max_workers(self, max_workers)

    @property
    def max_workers(self) -> int:
        """How many threads the sync tasks of one flow run have at once."""
        if self._max_workers is not None:
            return self._max_workers
        from clearway._base.settings import get_settings  # noqa: PLC0415 - not needed to define a flow

        return get_settings().max_threads

    def start(self) -> TaskExecutor:
        """Return what executes calls on this process's threads, which are started as they are needed."""
        from clearway._execution.threads import ThreadExecutor  # noqa: PLC0415 - loaded with the first run

        return ThreadExecutor()

    def __repr__(self) -> str:
        given = "" if self._max_workers is None else f"max_workers={self._max_workers}"
        return f"{type(self).__name__}({given})"


class ThreadPoolTaskRunner(ConcurrentTaskRunner, LimitsCoroutines):
    """Runs ``max_workers`` tasks of a flow run at once: sync ones on threads, async ones on its loop."""


class ProcessPoolTaskRunner:
    """Runs tasks, sync and async ones, in processes of their own, which work for one flow run.

    Tasks, arguments and results cross by cloudpickle. A worker process is started when a call needs one, and
    does one call at a time. If it dies, the run that it was at is Crashed, or tried again if it has retries
    left, and the others go on. It does not import the program's main module: tasks of that are sent along.
    """

    concurrency_type = TaskConcurrencyType.PARALLEL

    def __init__(self, max_workers: int | None = None) -> None:
        """Make a runner.

        Args:
            max_workers: How many processes one flow run has at once; by default as many as this process may
                use CPUs.

        Raises:
            TypeError: ``max_workers`` is no whole number.
            ValueError: It is not from 1 to 10,000.
        """
        self._max_workers = checked_max_workers(self, max_workers)

    @property
    def max_workers(self) -> int:
        """How many processes one flow run has at once."""
        return self._max_workers or _cpus()

    def start(self) -> TaskExecutor:
        """Return what executes calls in processes of a new pool.

        Raises:
            NotImplementedError: This is not a POSIX system.
        """
        from clearway._execution.workers.pool import ProcessPool  # noqa: PLC0415 - few flows have one

        return ProcessPool(self.max_workers)

    def __repr__(self) -> str:
        given = "" if self._max_workers is None else f"max_workers={self._max_workers}"
        return f"{type(self).__name__}({given})"


def run_call(data: bytes) -> bytes:
    """Run the code of a task run in this process, which is not its flow's, in the context of its run.

    Args:
        data: What ``TaskCall.to_bytes`` returned. Runs code that is in it.

    Returns:
        What ``TaskCall.finish`` takes. Whatever the code raises is in it; nothing is raised.
    """
    from clearway._execution.workers.run_call import run_call as run  # noqa: PLC0415 - for other processes only

    return run(data)


def _cpus() -> int:
    count = getattr(os, "sched_getaffinity", None)
    return len(count(0)) if count is not None else os.cpu_count() or 1


def checked_max_workers(runner: object, max_workers: object) -> int | None:
    """Return a number of workers, or None where none is given.

    Raises:
        TypeError: It is no whole number.
        ValueError: It is not from 1 to 10,000.
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
    """Return the runner that a flow was given; of a class, a new one.

    Raises:
        TypeError: It is no task runner.
    """
    if given is None:
        return ConcurrentTaskRunner()
    runner = given() if isinstance(given, type) else given
    if not all(hasattr(runner, name) for name in ("concurrency_type", "max_workers", "start")):
        raise TypeError(
            f"task_runner of {owner} is {given!r}; it must be a task runner or the class of one, such as "
            "ConcurrentTaskRunner or ThreadPoolTaskRunner(max_workers=8)"
        )
    return runner  # type: ignore[return-value]  # as its names say; types are its author's matter
