"""How long a client whose stream broke may stay away: as long as the setting says."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from clearway.v1.proposal_pb2 import Hello
from support.database import rows
from support.facts import NOW
from support.proposals import start
from support.waiting import wait_until

if TYPE_CHECKING:
    from unit.service.conftest import Service

LEASE = timedelta(seconds=30)
MICROSECOND = timedelta(microseconds=1)
TAG = "disk"


class Clock:
    """A clock that only the test moves."""

    def __init__(self) -> None:
        self._now = NOW

    def __call__(self) -> int:
        return self._now

    def advance(self, span: timedelta) -> None:
        self._now += span // MICROSECOND


def look(database: Path, clock: Clock) -> None:
    """Return when the engine has looked at its leases at the present time, and renewed its own."""
    wanted = clock() + LEASE // MICROSECOND
    query = "SELECT expires FROM session WHERE client_name = 'the engine'"
    wait_until(lambda: rows(database, query) == [(wanted,)], "a look at the leases")


def state_of(database: Path, run_id: str) -> tuple[str, str]:
    query = "SELECT name, message FROM state WHERE run_id = ? ORDER BY ordinal DESC LIMIT 1"
    ((name, message),) = rows(database, query, run_id)
    return name, message


@pytest.mark.parametrize(
    ("given", "grace"),
    [({}, 10), ({"broken_stream_grace": timedelta(seconds=3)}, 3)],
    ids=["by default", "as it is set"],
)
def test_the_runs_of_a_broken_stream_are_lost_after_the_grace_and_not_before(
    serve: Callable[..., Service], given: dict[str, Any], grace: int
) -> None:
    clock = Clock()
    service = serve(clock, lease=LEASE, **given)
    service.limit(TAG, 1)
    held, waits = start(service.flow_id, tags=[TAG]), start(service.flow_id, tags=[TAG])
    remote = service.connector.connect(Hello(client_name="remote"), _nothing, _nothing)
    remote.propose([held])
    remote.settled().result()
    client = service.client()
    assert client.decide(waits).wait.queued
    run_id = held.create_task_run.id

    remote.lose()
    service.limit("other", 1)  # whose answer shows that the loss was noted, at the time that it happened
    clock.advance(timedelta(seconds=grace) - 2 * MICROSECOND)
    look(service.database, clock)
    clock.advance(MICROSECOND)
    # That this look has begun shows that the one before has ended nothing.
    look(service.database, clock)
    assert state_of(service.database, run_id) == ("Running", "")
    clock.advance(MICROSECOND)
    assert client.decisions(waits.id, 2)[1].HasField("accept")
    name, message = state_of(service.database, run_id)
    assert name == "Crashed"
    assert f"did not reconnect within {grace} s" in message


def _nothing(_told: object) -> None:
    """Do nothing with what is told."""
