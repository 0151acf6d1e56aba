from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import pytest

import clearway.logging as run_logging
from clearway import flow, task
from clearway._base.settings import forget_settings
from clearway._transport.current import connect, current_transport, disconnect
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
    run_logger(flow_run_id, "", "brisk-otter").info("here")
    run_logger("no UUID", "", "stranger").info("who am I?")
    run_logger(flow_run_id, "", "brisk-otter").info("still here")
    assert [log.message for log in logs_of(flow_run_id)] == ["here", "still here"]
    assert "a log line was not kept by the service" in capsys.readouterr().err


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


def test_what_the_embedded_engine_warns_of_is_shown_like_the_rest(
    capsys: pytest.CaptureFixture[str], no_other_handlers: Callable[[], None]
) -> None:
    no_other_handlers()
    run_logger(create_flow_run(connect()), "", "brisk-otter").info("hello")
    logging.getLogger("clearway_service.leases").warning("it is late")
    hello, warned = capsys.readouterr().err.splitlines()
    assert hello.endswith(" | INFO    | Flow run 'brisk-otter' - hello")
    assert warned.endswith(" | WARNING | clearway_service.leases - it is late")


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


def test_a_line_after_the_end_of_the_connection_opens_no_other() -> None:
    flow_run_id = create_flow_run(connect())
    disconnect()
    run_logger(flow_run_id, "", "brisk-otter").info("an afterthought")
    flush_logs().result(SECONDS)
    assert current_transport() is None
    connect()
    assert [log.message for log in logs_of(flow_run_id)] == ["an afterthought"]


def test_what_utf_8_cannot_hold_is_written_out() -> None:
    flow_run_id = create_flow_run(connect())
    run_logger(flow_run_id, "", "brisk-otter").info("read %s", "report-\udcff.csv")
    assert [log.message for log in logs_of(flow_run_id)] == ["read report-\\udcff.csv"]


@pytest.fixture
def extra_loggers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have two loggers kept that are not ours, the one within the other; afterwards all is as it was."""
    monkeypatch.setenv("CLEARWAY_LOGGING_EXTRA_LOGGERS", "extra_package, extra_package.inner")
    forget_settings()
    monkeypatch.setattr(run_logging, "_is_set_up", False)
    ours = [logging.getLogger(name) for name in (run_logging.FLOW_RUN_LOGGER, run_logging.TASK_RUN_LOGGER)]
    extra = [logging.getLogger(name) for name in ("extra_package", "extra_package.inner")]
    for logger in ours:
        monkeypatch.setattr(logger, "handlers", [])
    yield
    for logger in extra:
        logger.handlers.clear()
        logger.setLevel(logging.NOTSET)


@pytest.mark.usefixtures("service", "extra_loggers")
def test_lines_of_other_loggers_are_kept_where_a_run_logs_them(
    capsys: pytest.CaptureFixture[str], no_other_handlers: Callable[[], None]
) -> None:
    no_other_handlers()

    @task
    def load() -> None:
        logging.getLogger("extra_package.inner.deep").info("from within")
        logging.getLogger("somebody_elses").warning("not this one")

    @flow
    def main() -> str:
        logging.getLogger("extra_package").warning("from the flow")
        load()
        return get_run_logger().extra["flow_run_id"]  # type: ignore[index,return-value]

    logging.getLogger("extra_package").info("outside any run")
    flow_run_id = main()
    logs = {log.message: log for log in logs_of(flow_run_id)}
    assert logs["from the flow"].logger == "extra_package"
    assert logs["from within"].logger == "extra_package.inner.deep"
    assert logs["from within"].task_run_id
    assert "not this one" not in logs
    shown = capsys.readouterr().err
    assert shown.count("Task run 'load-0' - from within") == 1
    assert "outside any run" not in [log.message for log in logs_of(flow_run_id)]
