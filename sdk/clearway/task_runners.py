"""Task runners: where the code of a flow's submitted task runs is executed.

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=8))
    def nightly(paths):
        return load.map(paths)

Whether and when a run may start is decided by the service; a runner is given the code of one that may,
executes it somewhere, and says how it ended. Runners of your own follow the protocol ``TaskRunner``.
"""

from __future__ import annotations

import enum
import os
from typing import Protocol

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


class ThreadPoolTaskRunner(ConcurrentTaskRunner):
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
    from clearway._execution.workers.remote_code import run_call as run  # noqa: PLC0415 - for other processes only

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
