"""The scenarios together cover all RPCs and reasons."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from clearway.v1 import error_pb2, explanation_pb2, orchestrator_pb2, proposal_pb2
from conformance.placeholders import strings
from conformance.reading import read_all
from conformance.steps import Advance, Await, Call, Ended, Exchange, Open, Step

SCENARIOS = read_all()
STEPS = [step for scenario in SCENARIOS for step in scenario.steps]
# These need a full disk, a lost database, or a server at a certain moment of its shutdown.
NOT_PROVOKED = {
    "ERROR_REASON_BUSY",
    "ERROR_REASON_STORAGE_FULL",
    "ERROR_REASON_STORE_UNAVAILABLE",
    "ERROR_REASON_SHUTTING_DOWN",
}
# These concern a client's own files, or all entries of a cache that others use.
NOT_CALLED = {
    "ListCacheEntries",
    "GetCacheStats",
    "ListTaskCacheStats",
}


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
                yield decision.get("error", {}).get("reason", "")


def test_every_error_reason_is_provoked_but_those_that_need_more_than_calls() -> None:
    every = set(error_pb2.ErrorReason.keys())
    provoked = {reason for step in STEPS for reason in reasons(step)} - {""}
    assert provoked == every - NOT_PROVOKED - {"ERROR_REASON_UNSPECIFIED"}


@pytest.mark.parametrize("reason", ["AbortReason", "RejectReason", "WaitReason"])
def test_every_reason_of_a_decision_is_provoked(reason: str) -> None:
    names = set(proposal_pb2.DESCRIPTOR.enum_types_by_name[reason].values_by_name)
    prefix = next(iter(names)).partition("_REASON_")[0] + "_REASON_"
    decisions = [step.expected.message for step in STEPS if isinstance(step, Call)]
    decisions += [decision for step in STEPS if isinstance(step, Exchange) for decision in step.decisions]
    told = {text for decision in decisions for text in strings(decision) if text.startswith(prefix)}
    assert told == names - {f"{prefix}UNSPECIFIED"}


def test_every_cause_of_an_explanation_is_expected() -> None:
    causes = explanation_pb2.ExplainTaskRunResponse.DESCRIPTOR.oneofs_by_name["cause"].fields
    expected = [call.expected.message or {} for call in calls() if call.method == "ExplainTaskRun"]
    told = {name for message in expected for name, value in message.items() if value is not None}
    assert {field.json_name for field in causes} <= told


def test_every_rpc_is_called() -> None:
    service = orchestrator_pb2.DESCRIPTOR.services_by_name["Orchestrator"]
    unary = {method.name for method in service.methods if not method.client_streaming}
    assert {call.method for call in calls()} == unary - NOT_CALLED
