"""Streams: sends messages in any order, and ends streams in any way."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from random import Random

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from fuzz.calls import SERVICE, STREAMS
from fuzz.messages import Maker
from fuzz.oracle import Oracle, Sent
from fuzz.pool import Pool

_SECONDS = 30.0
_MOST_MESSAGES = 12


class Streamer:
    """Opens streams, each with some messages.

    Args:
        channel: The channel to the server.
        maker: Generates messages.
        oracle: Checks the responses.
        pool: Collects ids from the responses.
        chance: The random generator.
    """

    def __init__(
        self, channel: grpc.Channel, maker: Maker, oracle: Oracle, pool: Pool, chance: Random
    ) -> None:
        self._channel, self._maker, self._oracle, self._pool = channel, maker, oracle, pool
        self._chance = chance

    def send_some(self, number: str, note: Callable[[Sent], None]) -> int:
        """Open a stream, send messages in random order, and end it randomly; return the number sent."""
        method = self._chance.choice(STREAMS)
        bodies = tuple(self._script(method))
        sent = Sent(number, method.name, bodies)
        note(sent)
        requests: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        open_stream = self._channel.stream_stream(f"/{SERVICE.full_name}/{method.name}")
        call = open_stream(iter(requests.get, None), timeout=_SECONDS)
        for body in bodies:
            requests.put(body)
        abrupt = self._chance.random() < 0.25
        try:
            if abrupt:
                # After the first response, if there will be one, or before it.
                if bodies and self._chance.random() < 0.5:
                    self._take(next(call), method, sent)
                call.cancel()
            requests.put(None)
            for body in call:
                self._take(body, method, sent)
        except StopIteration:
            pass
        except grpc.RpcError as error:
            if not (abrupt and error.code() == grpc.StatusCode.CANCELLED):  # type: ignore[attr-defined]
                self._oracle.judge_error(error, sent)
        finally:
            requests.put(None)
        return len(bodies) or 1

    def _take(self, body: bytes, method: MethodDescriptor, sent: Sent) -> None:
        response = GetMessageClass(method.output_type).FromString(body)
        self._oracle.judge_response(response, sent)
        self._pool.learn(response)

    def _script(self, method: MethodDescriptor) -> Iterator[bytes]:
        chance, maker, type_ = self._chance, self._maker, method.input_type
        order = chance.choice(
            ["hello"] * 6 + ["none", "late", "twice", "goodbye", "resume", "resume", "noise"]
        )
        count = chance.randrange(_MOST_MESSAGES)
        if order == "noise":
            yield from (maker.encoded(type_) for _ in range(count))
            return
        if order == "none":
            yield from (self._body(type_, hello=False) for _ in range(count + 1))
            return
        if order == "late":
            yield self._body(type_, hello=False)
        yield self._body(type_, hello=True, resume=order == "resume")
        for index in range(count):
            if order == "twice" and index == count // 2:
                yield self._body(type_, hello=True)
            if order == "goodbye" and index == count // 2:
                yield self._body(type_, hello=False, goodbye=True)
            if chance.random() < 0.1:
                yield maker.encoded(type_)
            else:
                yield self._body(type_, hello=False)

    def _body(self, type_: object, *, hello: bool, goodbye: bool = False, resume: bool = False) -> bytes:
        """Return a message with or without a hello, and with a goodbye only if requested."""
        message: Message = self._maker.message(type_, self._chance.choice([0.0, 0.0, 0.05, 0.3]))  # type: ignore[arg-type]
        names = {field.name for field in message.DESCRIPTOR.fields}
        if "hello" in names:
            message.ClearField("hello")
            if hello:
                part = message.DESCRIPTOR.fields_by_name["hello"].message_type
                message.hello.CopyFrom(self._maker.message(part, self._chance.choice([0.0, 0.0, 0.2])))  # type: ignore[attr-defined]
                if not resume:
                    message.hello.ClearField("resume_session_id")  # type: ignore[attr-defined]
        if "goodbye" in names:
            message.goodbye = goodbye  # type: ignore[attr-defined]
        return message.SerializeToString()
