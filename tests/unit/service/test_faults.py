"""An engine whose database fails for a while, or whose fellow engine dies in the middle of its work."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from clearway.v1.error_pb2 import ERROR_REASON_STORE_UNAVAILABLE
from clearway_service.engine.processes import this_process
from support.database import contents, rows
from support.proposals import COMPLETED, move, new_id, start
from support.waiting import wait_until

if TYPE_CHECKING:
    from unit.service.conftest import Service


@contextlib.contextmanager
def failing(service: Service) -> Iterator[list[int]]:
    """Let every statement of the connection that writes fail; yield how often one did, as one number."""
    failures = [0]

    def interrupt() -> int:
        failures[0] += 1
        return 1

    driver: Any = service.engine.database.driver
    driver.set_progress_handler(interrupt, 1)
    try:
        yield failures
    finally:
        driver.set_progress_handler(None, 0)


def test_what_cannot_be_written_is_told_and_changes_nothing(service: Service) -> None:
    client = service.client()
    before = contents(service.database)
    proposal = start(service.flow_id)
    with failing(service):
        answer = client.decide(proposal)
        assert answer.error.reason == ERROR_REASON_STORE_UNAVAILABLE
        assert contents(service.database) == before
    client.propose(proposal)
    assert client.decisions(proposal.id, 2)[1].HasField("accept")


def test_a_file_that_cannot_be_watched_for_a_while_does_not_silence_the_engine(service: Service) -> None:
    service.limit("disk", 1)
    client = service.client()
    holder, waiting = start(service.flow_id, tags=["disk"]), start(service.flow_id, tags=["disk"])
    client.decide(holder)
    client.decide(waiting)
    with failing(service) as failures:
        wait_until(lambda: failures[0] > 3, "a look at the file")
    client.propose(move(holder.create_task_run.id, COMPLETED))
    assert client.decisions(waiting.id, 2)[1].HasField("accept")


def test_whom_a_dead_process_was_about_to_wake_is_woken(service: Service) -> None:
    service.limit("disk", 1)
    client = service.client()
    waiting = [start(service.flow_id, tags=["disk"]) for _ in range(3)]
    client.propose(*waiting)
    client.settle()
    host = this_process().rsplit("/", 2)[0]
    # As after a turn that deleted the limit, by a process that died before it woke those who waited.
    with contextlib.closing(sqlite3.connect(service.database, timeout=30)) as other, other:
        other.execute("DELETE FROM concurrency_limit")
        other.execute("DELETE FROM slot")
        other.execute(
            "INSERT INTO session VALUES (?, 'other', '', '', 0, ?, NULL, ?, 0)",
            (new_id(), 2**62, f"{host}/4194305/0.00"),
        )
    for proposal in waiting[1:]:
        assert client.decisions(proposal.id, 2)[1].HasField("accept")
    assert rows(service.database, "SELECT * FROM waiter") == []
