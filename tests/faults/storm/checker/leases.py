"""Leases: a run is taken from its client only for a reason."""

from __future__ import annotations

from collections.abc import Iterator

from faults.storm.checker.violation import Violation
from faults.storm.evidence import Evidence

_CRASHED = 7
_TAKEN_OVER = "Rerunning"
_SLACK_SECONDS = 3.0


def check_leases(evidence: Evidence) -> Iterator[Violation]:
    """Yield runs that crashed or were taken over although their clients were undisturbed for a lease."""
    runs = {run.id: run for run in evidence.runs}
    for state in evidence.states:
        run = runs.get(state.run)
        taken = state.type == _CRASHED or state.name == _TAKEN_OVER
        if not taken or run is None or not run.client:
            continue
        at = state.time - evidence.wall_offset
        since = at - evidence.lease - _SLACK_SECONDS
        if not any(
            trouble.client in ("", run.client) and trouble.began <= at and trouble.ended >= since
            for trouble in evidence.troubles
        ):
            yield Violation("a run was taken from a client that lived", f"{state} of {run}")
