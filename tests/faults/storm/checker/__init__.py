"""The checker: the rules that any storm's evidence must satisfy, written independently of the service."""

from __future__ import annotations

from faults.storm.checker.aftermath import check_aftermath
from faults.storm.checker.bodies import check_bodies
from faults.storm.checker.histories import check_histories
from faults.storm.checker.leases import check_leases
from faults.storm.checker.promises import check_promises
from faults.storm.checker.violation import Violation
from faults.storm.evidence import Evidence

__all__ = ["Violation", "check"]


def check(evidence: Evidence) -> list[Violation]:
    """Return all violations in ``evidence``."""
    checks = (check_promises, check_histories, check_bodies, check_leases, check_aftermath)
    return [violation for each in checks for violation in each(evidence)]
