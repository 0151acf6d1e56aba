from __future__ import annotations

from clearway._transport import rpcs
from clearway._transport.rpcs import Method
from clearway.v1 import orchestrator_pb2

SERVICE = orchestrator_pb2.DESCRIPTOR.services_by_name["Orchestrator"]


def test_there_is_a_method_for_every_unary_call_with_its_own_messages() -> None:
    ours = {
        (method.name, method.request.DESCRIPTOR.full_name, method.response.DESCRIPTOR.full_name)
        for method in vars(rpcs).values()
        if isinstance(method, Method)
    }
    theirs = {
        (method.name, method.input_type.full_name, method.output_type.full_name)
        for method in SERVICE.methods
        if not method.client_streaming
    }
    assert ours == theirs
