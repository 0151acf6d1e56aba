"""A small synchronous client of the protocol: unary calls, and a stream with decisions awaited by id."""

from __future__ import annotations

import queue
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from clearway.v1 import error_pb2
from clearway.v1.orchestrator_pb2_grpc import OrchestratorStub
from clearway.v1.proposal_pb2 import Decision, Hello, Proposal, ProposeRequest, ProposeResponse, Welcome
from support.waiting import DEADLINE_SECONDS

Request = TypeVar("Request")
_CODES = {code.value[0]: code for code in grpc.StatusCode}


@dataclass(frozen=True)
class Failure:
    """How a call failed.

    Attributes:
        code: The status code.
        reason: The name of the ``ErrorReason`` in the details; empty if there is none.
        fields: The invalid fields.
        message: The human-readable message.
        retry_seconds: The retry delay in the details; None if there is none.
        metadata: The metadata in the details.
    """

    code: grpc.StatusCode
    reason: str
    fields: tuple[str, ...]
    message: str
    retry_seconds: float | None = None
    metadata: dict[str, str] = field(default_factory=dict)


def failure_of(error: Any) -> Failure:
    """Return how a call failed, with its details unpacked."""
    status = rpc_status.from_call(error)
    if status is None:
        return Failure(error.code(), "", (), error.details() or "")
    return failure_of_status(status)


def failure_of_status(status: status_pb2.Status) -> Failure:
    """Return the failure described by a status, with its details unpacked."""
    reason, fields, retry_seconds, metadata = "", [], None, {}
    for detail in status.details:
        info, bad, retry = (
            error_details_pb2.ErrorInfo(),
            error_details_pb2.BadRequest(),
            error_details_pb2.RetryInfo(),
        )
        if detail.Unpack(info):
            assert info.domain == "clearway"
            assert error_pb2.ErrorReason.Value(info.reason)
            reason, metadata = info.reason, dict(info.metadata)
        elif detail.Unpack(bad):
            fields += [violation.field for violation in bad.field_violations]
        elif detail.Unpack(retry):
            retry_seconds = retry.retry_delay.ToTimedelta().total_seconds()
    return Failure(_CODES[status.code], reason, tuple(fields), status.message, retry_seconds, metadata)


class EndedError(AssertionError):
    """The stream ended while the test was waiting for something on it.

    Attributes:
        end: How it ended.
    """

    def __init__(self, what: str, end: Failure) -> None:
        super().__init__(f"{what}: the stream ended: {end}")
        self.end = end


class Client:
    """A channel to a server.

    Args:
        address: ``host:port``.
        more: Additional channel options.
    """

    def __init__(self, address: str, more: Sequence[tuple[str, Any]] = ()) -> None:
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1), *more]
        self._channel = grpc.insecure_channel(address, options=options)
        self.channel = self._channel
        self.stub = OrchestratorStub(self._channel)

    def open(self, name: str = "tester", resume: str = "") -> Stream:
        """Open a stream, and return when it is welcomed.

        Args:
            name: The client's name.
            resume: The session to resume.

        Raises:
            EndedError: It was not welcomed.
        """
        hello = Hello(client_name=name, language="python", version="0", resume_session_id=resume)
        stream = Stream(self.stub)
        stream.send(ProposeRequest(hello=hello))
        stream.await_welcome()
        return stream

    def fails(self, method: str, request: Any) -> Failure:
        """Return how the unary ``method`` fails; raise AssertionError if it succeeds."""
        try:
            answer = getattr(self.stub, method)(request, timeout=DEADLINE_SECONDS)
        except grpc.RpcError as error:
            return failure_of(error)
        raise AssertionError(f"{method} returned {answer}")

    def close(self) -> None:
        """Close the channel, which breaks open streams."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Stream:
    """An open ``Propose`` call. A separate thread reads its messages.

    Args:
        stub: The channel's stub.

    Attributes:
        messages: All messages received.
        inbox: All decisions, in order of arrival, then None when the stream has ended.
    """

    def __init__(self, stub: OrchestratorStub) -> None:
        self._requests: queue.SimpleQueue[ProposeRequest | None] = queue.SimpleQueue()
        self._changed = threading.Condition()
        self._decisions: dict[str, list[Decision]] = defaultdict(list)
        self._taken: dict[str, int] = defaultdict(int)
        self.messages: list[ProposeResponse] = []
        self.inbox: queue.SimpleQueue[Decision | None] = queue.SimpleQueue()
        self._end: Failure | None = None
        self._call = stub.Propose(iter(self._requests.get, None))
        threading.Thread(target=self._read, args=(self._call,), daemon=True).start()

    def _read(self, call: Any) -> None:
        end = Failure(grpc.StatusCode.OK, "", (), "")
        try:
            for message in call:
                with self._changed:
                    self.messages.append(message)
                    for decision in message.decisions:
                        self._decisions[decision.proposal_id].append(decision)
                        self.inbox.put(decision)
                    self._changed.notify_all()
        except grpc.RpcError as error:
            end = failure_of(error)
        with self._changed:
            self._end = end
            self._changed.notify_all()
        self.inbox.put(None)

    def _await(self, condition: Callable[[], bool], what: str, *, although_ended: bool = False) -> None:
        deadline = time.monotonic() + DEADLINE_SECONDS
        with self._changed:
            while not condition():
                if self._end is not None and not although_ended:
                    raise EndedError(what, self._end)
                assert self._changed.wait(deadline - time.monotonic()), f"{what} did not come"

    def send(self, message: ProposeRequest) -> None:
        """Send a message."""
        self._requests.put(message)

    @property
    def welcome(self) -> Welcome:
        """The service's first message."""
        return self.messages[0].welcome

    @property
    def session_id(self) -> str:
        """The session of the stream."""
        return self.welcome.session_id

    def await_welcome(self) -> None:
        """Wait until the service has replied to the hello."""
        self._await(lambda: bool(self.messages), "welcome")
        assert self.messages[0].HasField("welcome")

    def propose(self, *proposals: Proposal) -> None:
        """Send proposals in one message."""
        self.send(ProposeRequest(proposals=proposals))

    def withdraw(self, *proposal_ids: str) -> None:
        """Withdraw waiting proposals."""
        self.send(ProposeRequest(withdrawals=proposal_ids))

    def decision(self, proposal_id: str) -> Decision:
        """Return the next decision on a proposal that was not returned before."""
        taken = self._taken[proposal_id]
        what = f"decision {taken + 1} about {proposal_id}"
        self._await(lambda: len(self._decisions[proposal_id]) > taken, what)
        self._taken[proposal_id] += 1
        return self._decisions[proposal_id][taken]

    def final(self, proposal_id: str) -> Decision:
        """Return the next decision on a proposal that is not a queued wait."""
        while (decision := self.decision(proposal_id)).wait.queued:
            pass
        return decision

    def decide(self, proposal: Proposal) -> Decision:
        """Send a proposal, and return the first decision on it."""
        self.propose(proposal)
        return self.decision(proposal.id)

    def decisions(self, proposal_id: str) -> list[Decision]:
        """Return all decisions on a proposal so far."""
        with self._changed:
            return list(self._decisions[proposal_id])

    def untaken(self) -> list[Decision]:
        """Return the decisions so far that ``decision`` has not returned."""
        with self._changed:
            return [each for id_, all_ in self._decisions.items() for each in all_[self._taken[id_] :]]

    def answered(self) -> Iterator[Decision]:
        """Yield all decisions so far."""
        with self._changed:
            yield from [decision for message in self.messages for decision in message.decisions]

    def send_ping(self) -> None:
        """Send a ping without awaiting the pong, to renew the session."""
        self.send(ProposeRequest(ping=1))

    def ping(self, number: int) -> None:
        """Send a ping and await its pong, so that everything sent before has been processed."""
        self.send(ProposeRequest(ping=number))
        self.await_pong(number)

    def await_pong(self, number: int) -> None:
        """Wait for the pong with this number."""
        self._await(lambda: any(message.pong == number for message in self.messages), f"pong {number}")

    def close_sending(self) -> None:
        """Close this side of the stream without a goodbye."""
        self._requests.put(None)

    def end(self) -> Failure:
        """Wait for the end of the stream, and return how it ended."""
        self._await(lambda: self._end is not None, "the end of the stream", although_ended=True)
        assert self._end is not None
        return self._end

    @property
    def ended(self) -> bool:
        """Whether the stream has ended."""
        return self._end is not None

    def say_goodbye(self) -> Failure:
        """End the session and the stream, and return how the stream ended."""
        self.send(ProposeRequest(goodbye=True))
        self.close_sending()
        return self.end()

    def break_off(self) -> None:
        """Break the stream, as a dying process does."""
        self._call.cancel()
        self._requests.put(None)
        self.end()
