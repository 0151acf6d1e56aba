"""Messages that are cheap to send and dear to parse."""

from __future__ import annotations

import pytest

from clearway.v1.log_pb2 import Log, WriteLogsRequest
from clearway.v1.proposal_pb2 import Proposal, ProposeRequest
from clearway.v1.task_run_pb2 import TaskInput, TaskRunSpec
from clearway_service.api.density import check_density
from clearway_service.api.parsing import MAX_INPUTS
from clearway_service.errors import InvalidArgumentError
from support.proposals import RUNNING, new_id, start, with_result

EMPTY = 100_000


def propose(*proposals: Proposal) -> bytes:
    return ProposeRequest(proposals=proposals).SerializeToString()


def test_items_that_are_empty_are_refused_however_deep_they_are() -> None:
    inputs = [TaskInput() for _ in range(EMPTY)]
    proposal = Proposal(create_task_run=TaskRunSpec(inputs=inputs))
    with pytest.raises(InvalidArgumentError, match="send fewer items"):
        check_density(propose(proposal), ProposeRequest.DESCRIPTOR)
    logs = WriteLogsRequest(logs=[Log() for _ in range(EMPTY)]).SerializeToString()
    with pytest.raises(InvalidArgumentError, match="send fewer items"):
        check_density(logs, WriteLogsRequest.DESCRIPTOR)
    with pytest.raises(InvalidArgumentError, match="send fewer items"):
        check_density(b"\x28\x01" * EMPTY * 2, ProposeRequest.DESCRIPTOR)


def test_what_clients_send_is_taken() -> None:
    flow = new_id()
    many_inputs = [TaskInput(parameter="items", task_run_ids=[new_id() for _ in range(20)])] * MAX_INPUTS
    for body in (
        propose(*(start(flow) for _ in range(4_096))),
        propose(start(flow, with_result(RUNNING, bytes(65_536)))),
        propose(start(flow, inputs=many_inputs)),
    ):
        check_density(body, ProposeRequest.DESCRIPTOR)
    logs = WriteLogsRequest(
        logs=[Log(flow_run_id=flow, level=20, logger="a", message="b") for _ in range(10_000)]
    )
    check_density(logs.SerializeToString(), WriteLogsRequest.DESCRIPTOR)


@pytest.mark.parametrize("tail", [b"\x12", b"\x12\xff", b"\x13", b"\xff" * 20])
def test_what_is_malformed_is_left_to_the_parser(tail: bytes) -> None:
    check_density(propose(*(start(new_id()) for _ in range(1_000))) + tail, ProposeRequest.DESCRIPTOR)
