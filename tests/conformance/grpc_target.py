"""A server as a target: an existing one, or one that is started here with a movable clock."""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Self

import grpc
from google.protobuf.message import Message

from clearway.v1.proposal_pb2 import Decision, ProposeRequest, Welcome
from clearway.v1.server_info_pb2 import GetServerInfoRequest
from conformance.target import CallError
from support.client import Client, EndedError, Failure, Stream, failure_of
from support.waiting import DEADLINE_SECONDS


class ServerTarget:
    """A running server. As a context manager, it is disconnected at the end.

    Args:
        address: ``host:port``.
    """

    offers = frozenset({"wire"})
    clock_stands = False

    def __init__(self, address: str) -> None:
        self._client = Client(address)

    def call(self, method: str, request: Message) -> Future[Any]:
        """Start a unary call."""
        future: Future[Any] = Future()
        call = getattr(self._client.stub, method).future(request, timeout=DEADLINE_SECONDS)

        def tell(done: grpc.Future[Any]) -> None:
            try:
                future.set_result(done.result())
            except grpc.RpcError as error:
                future.set_exception(CallError(failure_of(error)))

        call.add_done_callback(tell)
        return future

    def open(self, first: ProposeRequest) -> ServerStream:
        """Open a stream."""
        return ServerStream(self._client, first)

    def advance(self, seconds: float) -> None:
        """Raise NotImplementedError: the clock of an existing server cannot be moved."""
        raise NotImplementedError(f"the clock cannot be moved by {seconds} s")

    def restart(self) -> None:
        """Raise NotImplementedError: an existing server is not killed."""
        raise NotImplementedError("the server cannot be killed")

    def close(self) -> None:
        """Leave."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class StartedTarget(ServerTarget):
    """A server started by a command, with a movable clock, which can be killed and restarted.

    Args:
        command: The command, as ``conformance.movable_server`` describes; ``--port PORT`` is appended.
    """

    offers = frozenset({"wire", "clock", "restart"})
    clock_stands = True

    def __init__(self, command: str) -> None:
        self._command = shlex.split(command)
        self._port = "0"
        # Kept open: closing a channel would end its streams before they notice the death of the server.
        self._clients_before: list[Client] = []
        self._start(time.time())

    def _start(self, now: float) -> None:
        self._process = subprocess.Popen(
            [*self._command, "--port", self._port],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"CONFORMANCE_NOW": f"{now:.6f}"},
        )
        address = self._answer("listening")
        self._port = address.rpartition(":")[2]
        super().__init__(address)

    def _answer(self, word: str) -> str:
        """Return the rest of the process's next line, which must start with ``word``."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.startswith(f"{word} "):
            raise RuntimeError(f"the server's command said {line!r}; it must say '{word} ...'")
        return line.removeprefix(word).strip()

    def advance(self, seconds: float) -> None:
        """Move the server's clock, and wait until everything due by then is done."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"advance {seconds}\n")
        self._process.stdin.flush()
        self._answer("advanced")

    def restart(self) -> None:
        """Kill the server, and restart it with the same clock."""
        now = self.call("GetServerInfo", GetServerInfoRequest()).result(DEADLINE_SECONDS).current_time
        self._kill()
        self._clients_before.append(self._client)
        self._start(now.seconds + now.nanos / 1e9)

    def _kill(self) -> None:
        self._process.kill()
        self._process.wait(DEADLINE_SECONDS)
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()

    def close(self) -> None:
        """Disconnect, and kill the server."""
        super().close()
        for client in self._clients_before:
            client.close()
        self._kill()


class ServerStream:
    """A stream to a server.

    Args:
        client: The client with the channel.
        first: The first message.
    """

    def __init__(self, client: Client, first: ProposeRequest) -> None:
        self._stream = Stream(client.stub)
        self._stream.send(first)

    def welcome(self) -> Welcome:
        """Return the service's first message."""
        try:
            self._stream.await_welcome()
        except EndedError as error:
            raise CallError(error.end) from error
        return self._stream.welcome

    def send(self, message: ProposeRequest) -> None:
        """Send a message."""
        self._stream.send(message)

    def decision(self, proposal_id: str) -> Decision:
        """Return the next decision on a proposal."""
        try:
            return self._stream.decision(proposal_id)
        except EndedError as error:
            raise CallError(error.end) from error

    def pong(self, number: int) -> None:
        """Wait for the pong with this number."""
        self._stream.await_pong(number)

    def unread(self) -> list[Decision]:
        """Return the decisions received so far that no step has awaited."""
        return self._stream.untaken()

    def half_close(self) -> None:
        """Close the client's side."""
        self._stream.close_sending()

    def kill(self) -> None:
        """Break the stream without a goodbye."""
        self._stream.break_off()

    def end(self) -> Failure:
        """Wait for the end of the stream, and return how it ended."""
        return self._stream.end()
