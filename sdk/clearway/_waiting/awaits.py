"""Reporting to the service that a task run's code waits for another run.

Two runs can deadlock: one holds a slot that the other needs, and its code waits for the other's result. The
service can then explain why nothing makes progress.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from clearway.context import current_run

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def awaiting(task_run_id: str) -> Iterator[None]:
    """Report, for the duration of the block, that the current task run waits for another run."""
    run = current_run()
    if run is None or not run.task_run_id:
        yield
        return
    from clearway._transport.current import connect  # noqa: PLC0415 - loaded already, since there is a run

    transport = connect()
    transport.note_await(run.task_run_id, task_run_id)
    try:
        yield
    finally:
        transport.note_await(run.task_run_id, "")
