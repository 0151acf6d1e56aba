"""Calls: sends encoded messages to unary RPCs."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message_factory import GetMessageClass

from clearway.v1.orchestrator_pb2 import DESCRIPTOR
from fuzz.messages import Maker
from fuzz.oracle import Oracle, Sent
from fuzz.pool import Pool

SERVICE: ServiceDescriptor = DESCRIPTOR.services_by_name["Orchestrator"]
UNARY: list[MethodDescriptor] = [method for method in SERVICE.methods if not method.client_streaming]
STREAMS: list[MethodDescriptor] = [method for method in SERVICE.methods if method.client_streaming]

_SECONDS = 30.0
_ABRUPT = 0.05
_PAUSES = (0.0, 0.0005, 0.001, 0.002, 0.005)
# RPCs that create something are called more often, those that read all states less often.
_WEIGHTS = {
    "SetTaskRunState": 6.0,
    "SetFlowRunState": 2.0,
    "CreateTaskRun": 5.0,
    "CreateFlowRun": 3.0,
    "ListOrphanedResults": 0.1,
    "DropOrphanedResults": 0.1,
}


def open_channel(address: str) -> grpc.Channel:
    """Return a channel with its own connection and the default message size limit."""
    return grpc.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)])


class Caller:
    """Sends encoded messages to unary RPCs.

    Args:
        channel: The channel to the server.
        maker: Generates messages.
        oracle: Checks the responses.
        pool: Collects ids from the responses.
    """

    def __init__(self, channel: grpc.Channel, maker: Maker, oracle: Oracle, pool: Pool) -> None:
        self._maker, self._oracle, self._pool = maker, oracle, pool
        self._calls: dict[str, Any] = {
            method.name: channel.unary_unary(f"/{SERVICE.full_name}/{method.name}") for method in UNARY
        }

    def send_one(self, number: str, chance: Any, note: Callable[[Sent], None]) -> None:
        """Generate a message for a random RPC and send it."""
        method = chance.choices(UNARY, [_WEIGHTS.get(each.name, 1.0) for each in UNARY])[0]
        sent = Sent(number, method.name, self._maker.encoded(method.input_type))
        if chance.random() < _ABRUPT:
            self._break_off(sent, chance.choice(_PAUSES), note)
        else:
            self.send(sent, note)

    def _break_off(self, sent: Sent, after: float, note: Callable[[Sent], None]) -> None:
        """Send a message, and cancel the call before or during its response."""
        note(sent)
        call = self._calls[sent.method].future(sent.body, timeout=_SECONDS)
        time.sleep(after)
        call.cancel()

    def send(self, sent: Sent, note: Callable[[Sent], None]) -> bool:
        """Send a message; return True if the server accepted it."""
        note(sent)
        method = SERVICE.methods_by_name[sent.method]
        try:
            body = self._calls[sent.method](sent.body, timeout=_SECONDS)
        except grpc.RpcError as error:
            self._oracle.judge_error(error, sent)
            return False
        response = GetMessageClass(method.output_type).FromString(body)
        self._oracle.judge_response(response, sent)
        self._pool.learn(response)
        return True
