"""A pool of worker processes; one thread here talks to each of them."""

from __future__ import annotations

import itertools
import logging
import threading
from collections import deque
from typing import TYPE_CHECKING

from clearway._execution.workers.process import NotBegun, WorkerProcess
from clearway.exceptions import WorkerDied

if TYPE_CHECKING:
    from clearway._definition.task_runner import TaskCall

_log = logging.getLogger("clearway.engine")


class ProcessPool:
    """The worker processes of one flow run, started on demand; see ``TaskExecutor``."""

    def __init__(self, max_workers: int) -> None:
        self._max_workers = max_workers
        self._changed = threading.Condition()
        self._calls: deque[tuple[TaskCall, bytes]] = deque()
        self._busy: dict[TaskCall, WorkerProcess | None] = {}  # None while its process is being started
        self._cancelled: set[TaskCall] = set()
        self._numbers = itertools.count(1)
        self._seats = 0
        self._idle = 0
        self._stopped = False

    def execute(self, call: TaskCall) -> None:
        """Queue a call for a worker process.

        Raises:
            NotPicklable: The call cannot be pickled.
        """
        data = call.to_bytes()
        with self._changed:
            if self._stopped:
                call.fail(WorkerDied(f"the task run {call.name!r} did not start: its flow run has ended"))
                return
            self._calls.append((call, data))
            if self._idle >= len(self._calls):
                self._changed.notify()
                return
            if self._seats == self._max_workers:
                return
            self._seats += 1
        name = f"clearway-process-pool-{next(self._numbers)}"
        threading.Thread(target=self._serve, name=name, daemon=True).start()

    def cancel(self, call: TaskCall) -> None:
        """Remove a queued call; kill the process of a running one."""
        with self._changed:
            for waiting in self._calls:
                if waiting[0] is call:
                    self._calls.remove(waiting)
                    break
            else:
                if call in self._busy:
                    self._cancelled.add(call)
                    self._kill(self._busy[call])
                return
        call.fail(WorkerDied(f"the task run {call.name!r} was cancelled before it started"))

    def stop(self) -> None:
        """End idle processes, and kill busy ones."""
        with self._changed:
            self._stopped = True
            self._calls.clear()
            self._cancelled.update(self._busy)
            for worker in self._busy.values():
                self._kill(worker)
            self._changed.notify_all()

    def _kill(self, worker: WorkerProcess | None) -> None:
        if worker is not None:
            worker.kill()

    # Runs on a thread of the pool.

    def _serve(self) -> None:
        worker: WorkerProcess | None = None
        while (item := self._next()) is not None:
            worker = self._do(*item, worker)
            del item
        if worker is not None:
            worker.close()

    def _next(self) -> tuple[TaskCall, bytes] | None:
        """Return the next call; None once the pool has stopped."""
        with self._changed:
            self._idle += 1
            self._changed.wait_for(lambda: self._calls or self._stopped)
            self._idle -= 1
            if self._stopped:
                return None
            call, data = self._calls.popleft()
            self._busy[call] = None
            return call, data

    def _do(self, call: TaskCall, data: bytes, worker: WorkerProcess | None) -> WorkerProcess | None:
        """Execute a call in a worker process; return the process if it can take another call."""
        try:
            try:
                worker, reply = self._ask(call, data, worker)
            except NotBegun:
                if worker is None:
                    raise
                worker, reply = self._ask(call, data, None)  # the worker died while it was idle
        except BaseException as error:  # noqa: BLE001 - ends the run
            call.fail(error)
            return None
        finally:
            with self._changed:
                self._busy.pop(call, None)
                self._cancelled.discard(call)
        call.finish(reply)
        return worker

    def _ask(self, call: TaskCall, data: bytes, worker: WorkerProcess | None) -> tuple[WorkerProcess, bytes]:
        """Return the reply of a worker process; starts one if ``worker`` is None.

        Raises:
            WorkerDied: The process died, or the call was cancelled.
        """
        worker = worker or WorkerProcess()
        with self._changed:
            self._busy[call] = worker
            if call in self._cancelled:
                worker.kill()
        return worker, worker.ask(data, call.name)
