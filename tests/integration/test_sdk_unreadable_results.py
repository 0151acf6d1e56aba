"""Results that are there and cannot be read at present, which is not the same as missing ones."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from clearway import State, flow, get_client, task
from clearway._base.settings import forget_settings
from clearway._transport.current import disconnect
from clearway.exceptions import MissingResult, UnreadableResult
from support.server import Server

LARGE = "x" * 100_000


@pytest.mark.usefixtures("service")
def test_a_process_without_descriptors_does_not_compute_a_cached_result_again() -> None:
    script = Path(__file__).with_name("results_descriptors.py")
    done = subprocess.run(
        [sys.executable, script, "descriptors"],
        env=os.environ | {"CLEARWAY_DISPLAY": "never"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    computed, unreadable, *rest = done.stdout.splitlines()
    assert computed == "computed", done.stderr
    assert unreadable.startswith("unreadable: the result in "), done.stderr
    assert "Too many open files; it may well be there" in unreadable
    assert rest == ["Cached", "right"]


@pytest.fixture
def away(server: Server, monkeypatch: pytest.MonkeyPatch) -> State[str]:
    """Return the state of a run whose result is in the storage of a server that has gone since."""
    monkeypatch.setenv("CLEARWAY_ADDRESS", server.address)
    monkeypatch.setenv("CLEARWAY_RESULT_STORAGE", "service://")
    monkeypatch.setenv("CLEARWAY_RECONNECT_TIMEOUT", "0.2")
    disconnect()
    forget_settings()

    @task
    def work() -> str:
        return LARGE

    @flow
    def working() -> str:
        return work(return_state=True).details.task_run_id

    run_id = working()
    with get_client() as client:
        state: State[str] = client.read_task_run(run_id).state
    server.kill()
    return state


def test_a_result_of_a_server_that_is_away_is_unreadable_until_it_is_back(
    away: State[str], server: Server
) -> None:
    with pytest.raises(
        UnreadableResult, match=r"cannot be read at present: the Clearway server at .* was lost"
    ):
        away.result()
    server.start()
    assert away.result() == LARGE


def test_a_result_that_the_server_does_not_have_is_missing(away: State[str], server: Server) -> None:
    for file in server.database.with_name(f"{server.database.name}-results").glob("*/*"):
        file.unlink()
    server.start()
    with pytest.raises(MissingResult, match="the result expected at service://"):
        away.result()
