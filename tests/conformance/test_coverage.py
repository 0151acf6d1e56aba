"""What the scenarios speak of, taken together."""

from __future__ import annotations

from collections.abc import Iterator

from clearway.v1 import error_pb2, orchestrator_pb2, proposal_pb2
from conformance.placeholders import strings
from conformance.reading import read_all
from conformance.steps import Advance, Await, Call, Ended, Exchange, Open, Step

SCENARIOS = read_all()
STEPS = [step for scenario in SCENARIOS for step in scenario.steps]
# These take a full disk, a database that is gone, or a server at a certain moment of its end.
NOT_PROVOKED = {"BUSY", "STORAGE_FULL", "STORE_UNAVAILABLE", "SHUTTING_DOWN"}
# These are about a client's own files, or about all entries of a cache that others use.
NOT_CALLED = {"ListUnusedResults", "DropUnusedResults", "ListCacheEntries", "GetCacheStats"}


def calls() -> Iterator[Call]:
    for step in STEPS:
        if isinstance(step, Call):
            yield step
        elif isinstance(step, Advance) and step.until is not None:
            yield step.until


def reasons(step: Step) -> Iterator[str]:
    """Yield the error reasons that a step expects."""
    match step:
        case (
            Call(expected=expected)
            | Await(expected=expected)
            | Open(expected=expected)
            | Ended(expected=expected)
        ):
            if expected.error is not None:
                yield expected.error.get("reason", "")
        case Exchange(decisions=decisions):
            for decision in decisions:
                yield decision.get("error", {}).get("reason", "").removeprefix("ERROR_REASON_")


def test_every_error_reason_is_provoked_but_those_that_need_more_than_calls() -> None:
    every = {name.removeprefix("ERROR_REASON_") for name in error_pb2.ErrorReason.keys()}  # noqa: SIM118 - no dict
    provoked = {reason for step in STEPS for reason in reasons(step)} - {""}
    assert provoked == every - NOT_PROVOKED - {"UNSPECIFIED"}


def test_every_abort_reason_is_provoked() -> None:
    decisions = [step.expected.message for step in STEPS if isinstance(step, Call)]
    decisions += [decision for step in STEPS if isinstance(step, Exchange) for decision in step.decisions]
    told = {text for decision in decisions for text in strings(decision) if text.startswith("ABORT_REASON_")}
    assert told == set(proposal_pb2.AbortReason.keys()) - {"ABORT_REASON_UNSPECIFIED"}


def test_every_rpc_is_called() -> None:
    service = orchestrator_pb2.DESCRIPTOR.services_by_name["Orchestrator"]
    unary = {method.name for method in service.methods if not method.client_streaming}
    assert {call.method for call in calls()} == unary - NOT_CALLED
