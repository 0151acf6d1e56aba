from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import pytest

import clearway.logging as run_logging
from clearway import flow, task
from clearway._base.settings import forget_settings
from clearway._transport.current import connect, current_transport, disconnect
from clearway.client import get_client
from clearway.context import FlowRunContext, TaskRunContext, get_run_context
from clearway.exceptions import MissingContext
from clearway.logging import disable_run_logger, flush_logs, get_run_logger, run_logger
from clearway.schemas import Log
from clearway.task_runners import ProcessPoolTaskRunner
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


def test_outside_a_run_the_error_names_the_way_out_and_none_of_our_lines() -> None:
    with pytest.raises(MissingContext, match=r"disable_run_logger\(\)") as caught:
        get_run_logger()
    assert all("/clearway/" not in frame.path.as_posix() for frame in caught.traceback)


@task
def greets(name: str) -> str:
    get_run_logger().info("hello %s", name)
    return f"hello {name}"


def test_a_tasks_function_is_tested_without_a_run(
    capsys: pytest.CaptureFixture[str], no_other_handlers: Callable[[], None]
) -> None:
    no_other_handlers()
    with disable_run_logger(), disable_run_logger():
        assert greets.fn("you") == "hello you"
        logger = get_run_logger()
        assert not logger.isEnabledFor(logging.CRITICAL)
    logger.critical("it is of no run")
    with pytest.raises(MissingContext):
        greets.fn("you")
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("service")
def test_in_a_run_disabled_loggers_show_and_send_nothing(
    capsys: pytest.CaptureFixture[str], no_other_handlers: Callable[[], None]
) -> None:
    no_other_handlers()

    @flow
    def main() -> str:
        with disable_run_logger():
            greets("you")
            greets.submit("me").result()
        get_run_logger().info("and here")
        return get_run_logger().extra["flow_run_id"]  # type: ignore[index,return-value]

    flow_run_id = main()
    messages = [log.message for log in logs_of(flow_run_id)]
    assert "and here" in messages
    assert not any("hello" in message for message in messages)
    shown = capsys.readouterr().err
    assert "and here" in shown
    assert "hello" not in shown


@pytest.mark.usefixtures("service")
@pytest.mark.parametrize("name", ["send_to_clearway", "send_to_api", "send_to_orion"])
def test_a_line_may_stay_here(
    capsys: pytest.CaptureFixture[str], no_other_handlers: Callable[[], None], name: str
) -> None:
    no_other_handlers()

    @task
    def local() -> None:
        get_run_logger().warning("with the task", extra={name: False})
        get_run_logger(**{name: False}).warning("with its logger")
        get_run_logger().warning("for all", extra={name: True})

    @flow
    def main() -> str:
        get_run_logger().warning("with the flow", extra={name: False})
        local()
        return get_run_logger().extra["flow_run_id"]  # type: ignore[index,return-value]

    messages = [log.message for log in logs_of(main()) if log.level == logging.WARNING]
    assert messages == ["for all"]
    shown = capsys.readouterr().err
    for message in ("with the task", "with its logger", "for all", "with the flow"):
        assert f" - {message}\n" in shown


@pytest.fixture
def records() -> Iterator[list[logging.LogRecord]]:
    """Collect what runs log."""
    collected: list[logging.LogRecord] = []

    class Collecting(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            collected.append(record)

    handler = Collecting()
    logging.getLogger("clearway").addHandler(handler)
    yield collected
    logging.getLogger("clearway").removeHandler(handler)


def attributes(record: logging.LogRecord) -> tuple[object, ...]:
    names = ("flow_run_name", "flow_name", "task_run_name", "task_name", "run_title", "mine")
    return tuple(getattr(record, name, None) for name in names)


@pytest.mark.usefixtures("service")
def test_records_name_the_run_and_what_it_is_a_run_of(records: list[logging.LogRecord]) -> None:
    contexts: list[FlowRunContext | TaskRunContext] = []

    @task(name="the task", log_prints=True, retries=1)
    def named() -> None:
        get_run_logger(mine=7).info("said")
        print("printed")
        contexts.append(get_run_context())
        if len(contexts) == 1:
            raise ValueError("once")

    @flow(name="the flow", flow_run_name="tonight")
    def main() -> None:
        contexts.clear()
        named()
        here = get_run_context()
        get_run_logger().info("of the flow")
        get_run_logger(contexts[0]).info("of the task, said elsewhere")
        get_run_logger(here, mine=8).info("of the flow, by its context")

    main()
    by_message = {record.getMessage(): attributes(record) for record in records}
    of_flow = ("tonight", "the flow", "", "", "Flow run 'tonight'")
    of_task = ("tonight", "the flow", "the task-0", "the task", "Task run 'the task-0'")
    assert by_message["said"] == (*of_task, 7)
    assert by_message["printed"] == (*of_task, None)
    assert by_message["ValueError: once; it runs again at once"] == (*of_task, None)
    assert by_message["of the flow"] == (*of_flow, None)
    assert by_message["of the task, said elsewhere"] == (*of_task, None)
    assert by_message["of the flow, by its context"] == (*of_flow, 8)
    assert by_message["flow 'the flow' began"] == (*of_flow, None)


@flow(task_runner=ProcessPoolTaskRunner(max_workers=1))
def elsewhere() -> str:
    greets.submit("you").result()
    return get_run_logger().extra["flow_run_id"]  # type: ignore[index,return-value]


def test_records_of_worker_processes_name_them_too(records: list[logging.LogRecord]) -> None:
    flow_run_id = elsewhere()
    (said,) = [record for record in records if record.getMessage() == "hello you"]
    name = attributes(said)[0]
    assert attributes(said)[:4] == (name, "elsewhere", "greets-0", "greets")
    assert name
    assert "hello you" in [log.message for log in logs_of(flow_run_id)]


def test_what_get_run_logger_cannot_take_is_named() -> None:
    @flow
    def main() -> None:
        with pytest.raises(TypeError, match=r"context is of type str; give a FlowRunContext"):
            get_run_logger("brisk-otter")  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=r"given message=\.\.\."):
            get_run_logger(message="mine")
        with pytest.raises(TypeError, match=r"given flow_run_id=\.\.\."):
            get_run_logger(flow_run_id="mine")

    main()


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
