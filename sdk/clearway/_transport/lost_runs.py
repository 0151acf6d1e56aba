"""Callbacks for the runs that ended because the session expired."""

from __future__ import annotations

from collections.abc import Callable

_on_loss: list[Callable[[frozenset[str]], None]] = []


def when_runs_are_lost(function: Callable[[frozenset[str]], None]) -> None:
    """Register a function called with the runs that ended because the service took this process for dead.

    It is called on the transport's thread, and must be quick.
    """
    _on_loss.append(function)


def runs_lost(run_ids: frozenset[str]) -> None:
    """Report the flow runs and task runs that were Running when their session ended."""
    for function in _on_loss if run_ids else ():
        function(run_ids)
