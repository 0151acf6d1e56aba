"""Task runners: where the code of a flow's submitted task runs is executed.

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=8))
    def nightly(paths):
        return load.map(paths)

Whether and when a run may start is decided by the service; a runner is given the code of one that may,
executes it somewhere, and says how it ended. Runners of your own follow the protocol ``TaskRunner``.
"""

from __future__ import annotations

import enum
from typing import Protocol

__all__ = [
    "ConcurrentTaskRunner",
    "SequentialTaskRunner",
    "TaskCall",
    "TaskConcurrencyType",
    "TaskExecutor",
    "TaskRunner",
    "ThreadPoolTaskRunner",
]

_MAX_WORKERS = 10_000


class TaskConcurrencyType(enum.Enum):
    """What a runner does with submitted task runs."""

    SEQUENTIAL = "sequential"
    """Each is run to its end by the call that submits it. The executor is given nothing."""

    CONCURRENT = "concurrent"
    """The executor is given the code of sync tasks; that of async tasks runs on the flow's event loop."""

    PARALLEL = "parallel"
    """The executor is given the code of sync and async tasks."""


class TaskCall(Protocol):
    """The code of one task run, to be executed once.

    Any thread may do that, and the first time counts.
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


class TaskExecutor(Protocol):
    """A task runner at work for one flow run. Its methods are called by any thread."""

    def execute(self, call: TaskCall) -> None:
        """Begin to execute a call. What is raised here fails the run."""
        ...

    def cancel(self, call: TaskCall) -> None:
        """Stop a call whose run was ended, where that can be done; how it ends counts no more."""
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


class SequentialTaskRunner:
    """Runs each task run to its end where it is submitted, one after the other; also async ones."""

    concurrency_type = TaskConcurrencyType.SEQUENTIAL
    max_workers = 1

    def start(self) -> TaskExecutor:
        """Return what needs nothing, since there is never anything to execute elsewhere."""
        return _Threads()

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
        from clearway._settings import get_settings  # noqa: PLC0415 - not needed to define a flow

        return get_settings().max_threads

    def start(self) -> TaskExecutor:
        """Return what executes calls on this process's threads, which are started as they are needed."""
        return _Threads()

    def __repr__(self) -> str:
        given = "" if self._max_workers is None else f"max_workers={self._max_workers}"
        return f"{type(self).__name__}({given})"


class ThreadPoolTaskRunner(ConcurrentTaskRunner):
    """Runs ``max_workers`` tasks of a flow run at once: sync ones on threads, async ones on its loop."""


class _Threads:
    """Executes calls on this process's threads. Code on a thread cannot be stopped."""

    def execute(self, call: TaskCall) -> None:
        from clearway._engine.threads import get_threads  # noqa: PLC0415 - loaded with the first run

        get_threads().submit(call.run)

    def cancel(self, call: TaskCall) -> None:
        pass

    def stop(self) -> None:
        pass


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
