"""The lines about a flow run's end, in the log and on the terminal."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from clearway._base.spans import span
from clearway._execution.end_lines import one_line
from clearway._execution.outcomes import interruption
from clearway._states.run_counts import RunCounts
from clearway.exceptions import ClearwayError

if TYPE_CHECKING:
    from clearway.logging import RunLogger
    from clearway.states import State


class EndLog:
    """Reports once how a flow run ended.

    Attributes:
        counts: How the runs of its last finished attempt ended, subflows' runs included.
        last_line: The line that the display leaves on the terminal; empty if a log line says it.
    """

    __slots__ = ("_began", "counts", "last_line")

    def __init__(self) -> None:
        self.counts = RunCounts()
        self.last_line = ""
        self._began = 0.0

    def begin(self) -> None:
        """Note that an attempt starts."""
        self._began = self._began or time.monotonic()

    def ended(
        self,
        log: RunLogger,
        state: State[Any],
        detail: str,
        error: Exception | None,
        *,
        to_caller: bool,
        display: bool,
    ) -> None:
        """Log the end of a flow run; ``counts`` must be final.

        Args:
            log: The run's logger.
            state: The final state.
            detail: Why, in a few words; may be empty.
            error: The exception that its code raised, if no line has reported it yet.
            to_caller: Whether the exception is raised to the program; Python prints it if it is not caught.
            display: Whether the display leaves a line on the terminal, in place of the log line.
        """
        seconds = time.monotonic() - self._began if self._began else 0.0
        why = f" ({detail})" if detail else ""
        text = f"ended as {state.name}{why} in {span(seconds)}: {self.counts}"
        marks = {"clearway_raised": True} if to_caller else {}
        if display and (error is None or to_caller):
            self.last_line = text
            marks["clearway_shown"] = True
        level = logging.INFO if state.is_completed() else logging.ERROR
        log.log(level, "%s", text, exc_info=error, extra=marks)

    def abandoned(self, log: RunLogger, cause: BaseException, *, shown: bool) -> None:
        """Log that a flow run was interrupted; ``counts`` must be final.

        Args:
            log: The run's logger.
            cause: What interrupted it.
            shown: Whether to show the line on the terminal too.
        """
        if not self._began:
            return
        why = interruption(cause)
        if isinstance(cause, ClearwayError):  # it is raised to the caller, with the details
            why = f"cannot continue ({type(cause).__name__})"
        marks = {} if shown else {"clearway_shown": True}
        log.error("%s; its runs are ended: %s", one_line(why), self.counts, extra=marks)
