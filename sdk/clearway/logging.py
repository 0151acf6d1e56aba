"""Log lines of runs: shown on the terminal, and kept by the service beside the run."""

from __future__ import annotations

import copy
import logging
import os
import sys
import threading
from collections.abc import Iterator, Mapping, MutableMapping
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, TextIO

from clearway._base.settings import get_settings
from clearway._base.texts import plain
from clearway._base.tracebacks import folded
from clearway.exceptions import MissingContext

if TYPE_CHECKING:
    from clearway._logging.relay import RelayedLogs
    from clearway._logging.shipper import LogShipper
    from clearway.context import CurrentRun, FlowRunContext, TaskRunContext

FLOW_RUN_LOGGER: Final = "clearway.flow_run"
TASK_RUN_LOGGER: Final = "clearway.task_run"
_OURS: Final = ("clearway.", "clearway_service")
_KEPT: Final = "\n\t"
_SEND_TO: Final = ("send_to_clearway", "send_to_api", "send_to_orion")
"""Attributes of a record that keep it from the service where they are False; the others are Prefect's."""
_TAKEN: Final = frozenset(vars(logging.makeLogRecord({}))) | {
    "asctime",
    "clearway_raised",
    "clearway_shown",
    "clearway_taken",
    "flow_name",
    "flow_run_id",
    "flow_run_name",
    "message",
    "run_title",
    "task_name",
    "task_run_id",
    "task_run_name",
}


class RunLogger(logging.LoggerAdapter[logging.Logger]):
    """A logger whose lines belong to a run. Used like any other logger of the standard library."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Add the run to the caller's own ``extra``."""
        kwargs["extra"] = {**(kwargs.get("extra") or {}), **(self.extra or {})}
        return msg, kwargs


def get_run_logger(context: FlowRunContext | TaskRunContext | None = None, **extra: object) -> RunLogger:
    """Return the logger of the run that the caller is in, or of another one.

        @task
        def load(path):
            get_run_logger().info("loading %s", path)

    A line is shown and sent to the service. ``extra={"send_to_clearway": False}`` keeps it from the service.

    Args:
        context: Whose logger; None for the innermost run that the caller is in.
        extra: Attributes of each record of this logger, for formats and handlers of your own.

    Raises:
        MissingContext: The caller is in no run, nor in a ``disable_run_logger()`` block.
        TypeError: ``context`` is no context, or a name in ``extra`` is one of a record's own attributes.
    """
    try:
        return _checked_logger(context, extra)
    except MissingContext as error:
        folded(error)
        raise


def _checked_logger(context: object, extra: dict[str, object]) -> RunLogger:
    from clearway.context import FlowRunContext, TaskRunContext, current_run, run_of  # noqa: PLC0415 - as below

    for name in extra:
        if name in _TAKEN:
            raise TypeError(f"get_run_logger() was given {name}=..., which log records have already")
    if context is not None and not isinstance(context, (FlowRunContext, TaskRunContext)):
        kind = type(context).__name__
        raise TypeError(f"context is of type {kind}; give a FlowRunContext or a TaskRunContext")
    run = current_run() if context is None else run_of(context)
    if run is not None:
        return logger_of(run, extra)
    if _disabled:
        return RunLogger(_nowhere, dict(extra))
    raise MissingContext(
        "get_run_logger() was called outside a flow or task run, so there is no run to log for; "
        "call it within one, or use logging.getLogger(__name__); if a test calls a task's function by "
        "itself, `with clearway.logging.disable_run_logger():` drops its lines"
    )


@contextmanager
def disable_run_logger() -> Iterator[None]:
    """Drop all log lines of runs, in this whole process; ``get_run_logger()`` works outside runs too.

    with disable_run_logger():
        assert load.fn("orders.csv") == 17
    """
    _count_disabled(1)
    try:
        yield
    finally:
        _count_disabled(-1)


def _count_disabled(change: int) -> None:
    global _disabled  # noqa: PLW0603 - loggers are the process's
    with _lock:
        _disabled += change
        for name in (FLOW_RUN_LOGGER, TASK_RUN_LOGGER):
            logging.getLogger(name).disabled = _disabled > 0


def run_logger(
    flow_run_id: str,
    task_run_id: str,
    name: str,
    *,
    flow_run_name: str = "",
    flow_name: str = "",
    task_name: str = "",
) -> RunLogger:
    """Return the logger of a run.

    Args:
        flow_run_id: The flow run.
        task_run_id: The task run; empty for the flow run itself.
        name: The run's name.
        flow_run_name: The name of a task run's flow run.
        flow_name: The flow's name.
        task_name: The task's name.
    """
    from clearway.context import CurrentRun  # noqa: PLC0415 - loads what runs need

    flow_run_name = flow_run_name if task_run_id else name
    return logger_of(CurrentRun(flow_run_id, task_run_id, name, flow_run_name, flow_name, task_name))


def logger_of(run: CurrentRun, extra: Mapping[str, object] | None = None) -> RunLogger:
    """Return the logger of a run.

    Args:
        run: The run.
        extra: More attributes of its records.
    """
    _set_up()
    logger = logging.getLogger(TASK_RUN_LOGGER if run.task_run_id else FLOW_RUN_LOGGER)
    return RunLogger(logger, {**(extra or {}), **_facts_of(run)})


def _facts_of(run: CurrentRun) -> dict[str, str]:
    kind = "Task" if run.task_run_id else "Flow"
    return {
        "flow_run_id": run.flow_run_id,
        "flow_run_name": run.flow_run_name,
        "flow_name": run.flow_name,
        "task_run_id": run.task_run_id,
        "task_run_name": run.name if run.task_run_id else "",
        "task_name": run.task_name,
        "run_title": f"{kind} run {run.name!r}",
    }


def flush_logs() -> Future[None]:
    """Send all lines logged so far to the service.

    Returns:
        Resolved when they are durable, or when the service could not take them. It never has an exception.
    """
    shipper = _shipper
    if shipper is not None:
        return shipper.flush()
    nothing_to_do: Future[None] = Future()
    nothing_to_do.set_result(None)
    return nothing_to_do


class _TerminalFormatter(logging.Formatter):
    """Formats lines for a terminal, which no text in them is to steer.

    What a run logs may have several lines, and so may a traceback; what Clearway says of names has one.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        ours = record.name.startswith(_OURS) and record.name not in (FLOW_RUN_LOGGER, TASK_RUN_LOGGER)
        record.message = plain(record.message, "" if ours else _KEPT)
        return super().formatMessage(record)

    def format(self, record: logging.LogRecord) -> str:
        shown = copy.copy(record)  # it is shown elsewhere too, so it stays as it was
        if getattr(record, "clearway_raised", False):  # Python shows the traceback, if nobody catches it
            shown.exc_info = shown.exc_text = None
        return plain(super().format(shown), _KEPT)


class _TerminalHandler(logging.StreamHandler[TextIO]):
    """Shows lines on stderr, unless the user's own program has set up logging."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)
        self.setFormatter(
            _TerminalFormatter(
                "%(asctime)s.%(msecs)03d | %(levelname)-7s | %(run_title)s - %(message)s", "%H:%M:%S"
            )
        )

    @property
    def stream(self) -> TextIO:  # type: ignore[override]  # whatever stderr is now; notebooks replace it
        return sys.stderr

    def filter(self, record: logging.LogRecord) -> bool:
        if any(type(handler) is not _ServiceHandler for handler in logging.getLogger().handlers):
            return False
        _name_run(record)
        if not hasattr(record, "run_title"):
            record.run_title = plain(record.name)
        return _once(record, "clearway_shown") and bool(super().filter(record))


class _ServiceHandler(logging.Handler):
    """Hands the lines of runs to the shipper; takes microseconds."""

    def emit(self, record: logging.LogRecord) -> None:
        _name_run(record)
        if not hasattr(record, "flow_run_id") or _is_local(record) or not _once(record, "clearway_taken"):
            return
        try:
            _keep(record, self.format(record))
        except Exception:  # noqa: BLE001 - a line with a wrong % must not stop the run: logging's own rule
            self.handleError(record)


def _keep(record: logging.LogRecord, message: str) -> None:
    from clearway._logging.buffer import line_of  # noqa: PLC0415 - loads the messages
    from clearway._transport.current import current_transport  # noqa: PLC0415 - loaded by the first run

    line = line_of(record, message)
    if _relayed is not None and current_transport() is None:
        _relayed.send(line)
    else:
        _get_shipper().add(line)


def _name_run(record: logging.LogRecord) -> None:
    """Note in a record of any logger which run the caller is in, if in any."""
    if hasattr(record, "flow_run_id"):
        return
    from clearway.context import current_run  # noqa: PLC0415 - loads what runs need

    run = current_run()
    if run is not None:
        vars(record).update(_facts_of(run))


def _is_local(record: logging.LogRecord) -> bool:
    """Return whether the caller wants a line kept from the service."""
    return any(getattr(record, name, True) is False for name in _SEND_TO)


def _once(record: logging.LogRecord, mark: str) -> bool:
    """Return whether a record comes the first time: a logger and its parent may both have our handlers."""
    if hasattr(record, mark):
        return False
    setattr(record, mark, True)
    return True


_lock = threading.Lock()
_disabled = 0
"""How many ``disable_run_logger()`` blocks are entered."""
_nowhere: Final = logging.getLogger("clearway.nowhere")
_nowhere.disabled = True
_is_set_up = False
_hands_on = False
_shipper: LogShipper | None = None
_relayed: RelayedLogs | None = None
"""In a process that was forked from one whose runs log: the way of its lines to that one."""


def _set_up() -> None:
    """Attach the handlers, once."""
    global _is_set_up  # noqa: PLW0603 - one per process
    if _is_set_up:
        return
    with _lock:
        if _is_set_up:
            return
        ours = logging.getLogger("clearway")
        if ours.level == logging.NOTSET:
            ours.setLevel(get_settings().logging_level)
        # The embedded engine warns of this program's runs: it is shown like the rest.
        for shown in (ours, logging.getLogger("clearway_service")):
            if not shown.handlers:
                shown.addHandler(_TerminalHandler())
        to_service = _ServiceHandler()
        for name in (FLOW_RUN_LOGGER, TASK_RUN_LOGGER):
            logging.getLogger(name).addHandler(to_service)
        for name in get_settings().logging_extra_loggers:
            extra = logging.getLogger(name)
            if extra.level == logging.NOTSET:
                extra.setLevel(get_settings().logging_level)
            extra.addHandler(to_service)
            if extra is not logging.getLogger():
                extra.addHandler(_TerminalHandler())
        _is_set_up = True


def hand_on_to(handler: logging.Handler) -> None:
    """Hand all lines of this process, which is at work for another one, to ``handler`` alone."""
    global _is_set_up, _hands_on  # noqa: PLW0603 - one per process
    with _lock:
        _is_set_up = _hands_on = True
        logging.getLogger().addHandler(handler)


def _get_shipper() -> LogShipper:
    global _shipper  # noqa: PLW0603
    if _shipper is None:
        from clearway._logging.shipper import LogShipper  # noqa: PLC0415 - loads the messages

        with _lock:
            if _shipper is None:
                _shipper = LogShipper()
    return _shipper


def _keeps_lines() -> bool:
    """Return whether this process sends lines of runs to the service, rather than to another process."""
    return _is_set_up and not _hands_on


def _before_fork() -> None:
    if _keeps_lines() and _relayed is None:
        with suppress(OSError):  # the child then refuses its lines
            _get_shipper().open_relay()


def _after_fork_in_child() -> None:
    global _shipper, _lock, _relayed  # noqa: PLW0603
    _lock = threading.Lock()
    shipper, _shipper = _shipper, None
    if _keeps_lines() and _relayed is None:
        from clearway._logging.relay import RelayedLogs  # noqa: PLC0415 - the shipper has loaded it

        relay = None if shipper is None else shipper.relay
        _relayed = RelayedLogs(None) if relay is None else relay.in_child()


os.register_at_fork(before=_before_fork, after_in_child=_after_fork_in_child)
