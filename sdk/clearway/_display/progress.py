"""Whether to draw the progress of flows, and the calls to the painter; costs nothing if it is off."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from clearway._base.settings import get_settings

if TYPE_CHECKING:
    from clearway._display.painter import Painter
    from clearway._display.subjects import DrawnAttempt, DrawnFlowRun

_painter: Painter | None = None


def begin(run: DrawnFlowRun, scope: DrawnAttempt) -> None:
    """Note that an attempt of a flow run begins."""
    global _painter  # noqa: PLW0603 - one terminal, one painter
    if run.parent is None and _painter is None and _wanted():
        from clearway._display.painter import Painter  # noqa: PLC0415 - most programs draw nothing

        _painter = Painter()
        os.register_at_fork(after_in_child=_painter.forget)
    if _painter is not None and (run.parent is not None or _wanted()):
        _painter.begin(run, scope)


def end_attempt(run: DrawnFlowRun, scope: DrawnAttempt) -> None:
    """Note that an attempt of a flow run has ended."""
    if _painter is not None:
        _painter.end_attempt(run, scope)


def leaves_line(run: DrawnFlowRun) -> bool:
    """Return whether ``finish`` writes its line to the terminal."""
    return _painter is not None and run.parent is None and _painter.shows(run)


def finish(run: DrawnFlowRun, how: str) -> None:
    """Note that a flow run has ended.

    Args:
        run: The flow run.
        how: How, for a last line of the terminal, such as ``ended as Completed in 0.1 s``; empty for none.
    """
    if _painter is not None and run.parent is None:
        _painter.finish(run, how)


def _wanted() -> bool:
    display = get_settings().display
    if display == "auto":
        return sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    return display == "always"
