"""Telling the service that the code of a task run waits for another run.

Two runs may then wait for each other: the one holds a slot that the other needs, and its code waits for the
other's result. Nothing can go on, and the service can say why.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from clearway.context import current_run

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def awaiting(task_run_id: str) -> Iterator[None]:
    """Let the service know, for as long as the block lasts, that the present task run waits for another."""
    run = current_run()
    if run is None or not run.task_run_id:
        yield
        return
    from clearway._transport.current import connect  # noqa: PLC0415 - a run has loaded it

    transport = connect()
    transport.note_await(run.task_run_id, task_run_id)
    try:
        yield
    finally:
        transport.note_await(run.task_run_id, "")
