"""The aftermath: dead clients hold nothing and wait for nothing, and all work has ended."""

from __future__ import annotations

from collections.abc import Iterator

from faults.storm.checker.violation import Violation
from faults.storm.evidence import Evidence

_RUNNING = 3


def check_aftermath(evidence: Evidence) -> Iterator[Violation]:
    """Yield what is left after everything was resumed, has ended, and all leases have expired."""
    for tag, run in evidence.slots:
        yield Violation("a slot is held by the dead", f"{tag!r} by {run}")
    for proposal, run in evidence.waiters:
        yield Violation("a waiter is left", f"{proposal} for {run}")
    for waiting in evidence.forgotten:
        yield Violation("a waiter waits while slots are free", f"{waiting}")
    for run in evidence.runs:
        if run.state_type == _RUNNING:
            yield Violation("a run of the dead is Running", f"{run}")
    for job, wanted, got in evidence.flows:
        if got is None:
            yield Violation("a flow never completed", job)
        elif got != wanted:
            yield Violation("a flow has a wrong result", f"{job}: {got}, not {wanted}")
    for damage in evidence.damage:
        yield Violation("damage", damage)
