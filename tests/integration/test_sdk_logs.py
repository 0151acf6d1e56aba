from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

import clearway.logging as run_logging
from clearway._transport import connect, disconnect
from clearway.client import get_client
from clearway.exceptions import MissingContext
from clearway.logging import flush_logs, get_run_logger, run_logger
from clearway.schemas import Log
from integration.sdk_messages import SECONDS, create_flow_run, start_task


@pytest.fixture
def no_other_handlers(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return what takes pytest's own handlers away, which count as the user's set-up of logging."""
    return lambda: monkeypatch.setattr(logging.getLogger(), "handlers", [])


def logs_of(flow_run_id: str) -> list[Log]:
    flush_logs().result(SECONDS)
    with get_client() as client:
        return client.read_logs(flow_run_id=flow_run_id, limit=None)


@pytest.mark.usefixtures("service")
def test_lines_of_runs_are_kept_by_the_service_in_order() -> None:
    transport = connect()
    flow_run_id = create_flow_run(transport)
    task_run_id = transport.propose(start_task(flow_run_id, 1)).result(SECONDS).run_id
    run_logger(flow_run_id, "", "brisk-otter").info("flow %d", 1)
    run_logger(flow_run_id, task_run_id, "load-0").warning("task %s", "two", extra={"mine": 3})
    first, second = logs_of(flow_run_id)
    assert (first.message, first.level, first.task_run_id) == ("flow 1", logging.INFO, "")
    assert (second.message, second.level, second.task_run_id) == ("task two", logging.WARNING, task_run_id)
    assert first.timestamp <= second.timestamp


@pytest.mark.usefixtures("service")
def test_ten_thousand_lines_all_arrive() -> None:
    flow_run_id = create_flow_run(connect())
    logger = run_logger(flow_run_id, "", "brisk-otter")
    for number in range(10_000):
        logger.debug("not shown")
        logger.info("line %d", number)
    assert [log.message for log in logs_of(flow_run_id)] == [f"line {number}" for number in range(10_000)]


@pytest.mark.usefixtures("service")
def test_an_exceptions_traceback_is_part_of_its_line() -> None:
    flow_run_id = create_flow_run(connect())
    try:
        raise ZeroDivisionError("of mine")  # noqa: TRY301
    except ZeroDivisionError:
        run_logger(flow_run_id, "", "brisk-otter").exception("it failed")
    (log,) = logs_of(flow_run_id)
    assert log.message.startswith("it failed\nTraceback")
    assert log.message.endswith("ZeroDivisionError: of mine")


@pytest.mark.usefixtures("service")
def test_lines_are_sent_before_the_connection_is_closed() -> None:
    flow_run_id = create_flow_run(connect())
    run_logger(flow_run_id, "", "brisk-otter").info("last words")
    disconnect()
    assert [log.message for log in logs_of(flow_run_id)] == ["last words"]


@pytest.mark.usefixtures("service")
def test_a_line_too_long_for_the_service_is_cut() -> None:
    flow_run_id = create_flow_run(connect())
    run_logger(flow_run_id, "", "brisk-otter").info("x" * 70_000)
    assert [len(log.message) for log in logs_of(flow_run_id)] == [65_536]


@pytest.mark.usefixtures("service")
def test_a_line_that_the_service_refuses_harms_no_other(
    capsys: pytest.CaptureFixture[str], no_other_handlers: Callable[[], None]
) -> None:
    no_other_handlers()
    flow_run_id = create_flow_run(connect())
    run_logger("no UUID", "", "stranger").info("who am I?")
    flush_logs().result(SECONDS)
    run_logger(flow_run_id, "", "brisk-otter").info("still here")
    assert [log.message for log in logs_of(flow_run_id)] == ["still here"]
    assert "1 log lines were not kept by the service" in capsys.readouterr().err


def test_lines_are_shown_with_the_runs_name(
    capsys: pytest.CaptureFixture[str], no_other_handlers: Callable[[], None]
) -> None:
    no_other_handlers()
    flow_run_id = create_flow_run(connect())
    run_logger(flow_run_id, "", "brisk-otter").info("hello")
    run_logger(flow_run_id, flow_run_id, "load-0").error("oh no")
    first, second = capsys.readouterr().err.splitlines()
    assert first.endswith(" | INFO    | Flow run 'brisk-otter' - hello")
    assert second.endswith(" | ERROR   | Task run 'load-0' - oh no")


def test_lines_are_left_to_the_users_own_handlers(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    flow_run_id = create_flow_run(connect())
    run_logger(flow_run_id, "", "brisk-otter").info("hello")
    assert capsys.readouterr().err == ""
    assert caplog.messages == ["hello"]


def test_a_line_with_wrong_arguments_does_not_stop_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)
    flow_run_id = create_flow_run(connect())
    run_logger(flow_run_id, "", "brisk-otter").info("%d", "no number")


def test_outside_a_run_there_is_no_run_logger() -> None:
    with pytest.raises(MissingContext, match="outside a flow or task run"):
        get_run_logger()


def test_flushing_when_nothing_was_logged_is_done_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_logging, "_shipper", None)
    assert flush_logs().done()
