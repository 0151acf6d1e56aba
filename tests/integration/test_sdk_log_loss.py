"""Log lines while the server is stopped, and while it is dead; and who waits for them at the end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import clearway.logging as run_logging
from clearway._logging.buffer import LogBuffer
from clearway._logging.shipper import LogShipper
from clearway._transport.current import connect
from clearway.client import get_client
from clearway.logging import flush_logs, run_logger
from integration.sdk_interrupted import __file__ as interrupted
from integration.sdk_messages import SECONDS, create_flow_run
from integration.sdk_runs import last_flow_run
from support.server import Server
from support.waiting import wait_until

LATE = Path(__file__).with_name("sdk_late_lines.py")


@pytest.fixture(autouse=True)
def _server(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLEARWAY_ADDRESS", server.address)


@contextmanager
def stopped(server: Server) -> Iterator[None]:
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)


def kept(flow_run_id: str) -> list[str]:
    flush_logs().result(SECONDS)
    with get_client() as client:
        return [log.message for log in client.read_logs(flow_run_id=flow_run_id, limit=None)]


def test_lines_for_a_server_that_is_stopped_arrive_when_it_goes_on(server: Server) -> None:
    flow_run_id = create_flow_run(connect())
    logger = run_logger(flow_run_id, "", "brisk-otter")
    with stopped(server):
        for number in range(5_000):
            logger.info("line %d", number)
    assert kept(flow_run_id) == [f"line {number}" for number in range(5_000)]


def test_lines_for_a_server_that_was_killed_arrive_when_there_is_another(server: Server) -> None:
    flow_run_id = create_flow_run(connect())
    logger = run_logger(flow_run_id, "", "brisk-otter")
    logger.info("before")
    flush_logs().result(SECONDS)
    server.kill()
    for number in range(1_000):
        logger.info("line %d", number)
    server.start()
    wait_until(lambda: len(kept(flow_run_id)) == 1_001, "the arrival of all lines")
    assert kept(flow_run_id) == ["before"] + [f"line {number}" for number in range(1_000)]


def test_of_too_many_lines_the_log_says_how_many_are_missing(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_logging, "_shipper", LogShipper(LogBuffer(max_lines=1_000)))
    flow_run_id = create_flow_run(connect())
    logger = run_logger(flow_run_id, "", "brisk-otter")
    with stopped(server):
        for number in range(3_000):
            logger.info("line %d", number)
    flush_logs().result(SECONDS)
    logger.info("after")
    messages = kept(flow_run_id)
    assert messages[-1] == "after"
    notes = [message for message in messages if "are missing from here on" in message]
    lines = [int(message.split()[1]) for message in messages[:-1] if message not in notes]
    assert lines == sorted(lines)
    assert len(lines) >= 1_000
    missing = sum(int(note.split()[0].replace(",", "")) for note in notes)
    assert missing == 3_000 - len(lines) > 0


def exits(server: Server, *interrupts: bytes) -> tuple[int, str, str]:
    """Run the program with late lines, and interrupt it when its stderr says what is given.

    Returns:
        Its exit code, its stderr, and the id of its flow run.
    """
    process = subprocess.Popen([sys.executable, LATE, str(server.pid)], stderr=subprocess.PIPE)
    assert process.stderr is not None
    errors = b""
    for sign in interrupts:
        for line in process.stderr:
            errors += line
            if sign in line:
                break
        process.send_signal(signal.SIGINT)
    if not interrupts:
        for line in process.stderr:
            errors += line
            if b"waiting up to" in line:
                os.kill(server.pid, signal.SIGCONT)
    errors += process.stderr.read()
    process.stderr.close()
    code = process.wait(SECONDS)
    os.kill(server.pid, signal.SIGCONT)
    return code, errors.decode(), last_flow_run("main").id


def test_at_the_end_the_last_lines_are_waited_for(server: Server) -> None:
    code, errors, flow_run_id = exits(server)
    assert code == 0
    assert "waiting up to 10 s for the service to take 3 log lines" in errors
    assert kept(flow_run_id)[-3:] == [f"late line {number}" for number in range(3)]


def test_an_interrupt_ends_the_waiting_for_the_last_lines_at_once(server: Server) -> None:
    code, errors, _ = exits(server, b"waiting up to")
    assert "3 log lines could not be sent" in errors
    assert errors.splitlines()[-1].endswith("what was not sent by then is lost")
    assert "Traceback" not in errors
    assert code == 0


def test_a_second_interrupt_of_a_flow_ends_everything_at_once(server: Server) -> None:
    process = subprocess.Popen(
        [sys.executable, interrupted, "direct"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == "ready\n"
    with stopped(server):
        process.send_signal(signal.SIGINT)
        errors = ""
        while "its runs are ended" not in errors:
            errors += process.stderr.readline()
        process.send_signal(signal.SIGINT)
        _, rest = process.communicate(timeout=SECONDS)
    assert process.returncode == -signal.SIGINT
    assert rest.splitlines()[-1] == "KeyboardInterrupt"
    for waited in ("waiting up to", "did not answer", "could not be closed"):
        assert waited not in rest
