"""The checker: what must hold of any storm's evidence, by rules that are written here and nowhere else."""

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
    """Return all that is wrong with ``evidence``."""
    checks = (check_promises, check_histories, check_bodies, check_leases, check_aftermath)
    return [violation for each in checks for violation in each(evidence)]
