"""Playing: runs a scenario, step by step, against a target."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from functools import singledispatchmethod
from typing import Any

from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from clearway.v1 import orchestrator_pb2
from clearway.v1.proposal_pb2 import ProposeRequest
from clearway.v1.server_info_pb2 import GetServerInfoRequest
from conformance.matching import Matcher
from conformance.placeholders import Values
from conformance.steps import (
    Advance,
    Await,
    Call,
    Ended,
    Exchange,
    Expected,
    HalfClose,
    Json,
    Kill,
    Open,
    Restart,
    Scenario,
    Step,
)
from conformance.target import CallError, OpenStream, Target
from support.client import Failure
from support.waiting import DEADLINE_SECONDS

_METHODS = orchestrator_pb2.DESCRIPTOR.services_by_name["Orchestrator"].methods_by_name
_PAUSE_SECONDS = 0.01
_MOVES = 20


class NotConformingError(AssertionError):
    """The service deviated from the scenario."""


def play(scenario: Scenario, target: Target) -> None:
    """Play a scenario.

    Raises:
        NotConformingError: The service deviated; the message names the step and the difference.
    """
    player = _Player(target)
    for number, step in enumerate(scenario.steps, start=1):
        try:
            player.do(step)
        except (NotConformingError, CallError) as error:
            raise NotConformingError(
                f"{scenario.file}: {scenario.name!r}\nstep {number} of {len(scenario.steps)}: {step}\n{error}"
            ) from error
    player.finish(scenario)


class _Player:
    def __init__(self, target: Target) -> None:
        self._target = target
        self._streams: dict[str, OpenStream] = {}
        self._calls: dict[str, Future[Any]] = {}
        self._began = time.monotonic()
        info = target.call("GetServerInfo", GetServerInfoRequest()).result(DEADLINE_SECONDS)
        self._values = Values(info.current_time.ToDatetime(UTC))

    @property
    def _matcher(self) -> Matcher:
        passed = 0 if self._target.clock_stands else time.monotonic() - self._began
        start: datetime = self._values.now
        return Matcher(start, timedelta(seconds=passed))

    @singledispatchmethod
    def do(self, step: Step) -> None:
        """Run one step."""
        raise TypeError(f"{step} is no step")

    @do.register
    def _call(self, step: Call) -> None:
        if step.background:
            self._calls[step.background] = self._begin(step)
        elif step.eventually:
            self._repeat(step)
        else:
            self._compare(step.expected, lambda: self._begin(step).result(DEADLINE_SECONDS))

    @do.register
    def _await(self, step: Await) -> None:
        self._compare(step.expected, lambda: self._calls.pop(step.name).result(DEADLINE_SECONDS))

    @do.register
    def _open(self, step: Open) -> None:
        stream = self._target.open(self._parse(ProposeRequest, step.first))
        self._compare(step.expected, stream.welcome)
        if step.expected.error is None:
            self._streams[step.stream] = stream

    @do.register
    def _exchange(self, step: Exchange) -> None:
        stream = self._streams[step.stream]
        if step.message is not None:
            stream.send(self._parse(ProposeRequest, step.message))
        if step.pong:
            stream.pong(step.pong)
        for decision in step.decisions:
            expected = self._values.fill(decision)
            got = _json(stream.decision(expected["proposalId"]))
            self._check(expected, got)
            self._save(step.save, got)

    @do.register
    def _half_close(self, step: HalfClose) -> None:
        self._streams[step.stream].half_close()

    @do.register
    def _kill(self, step: Kill) -> None:
        self._streams.pop(step.stream).kill()

    @do.register
    def _ended(self, step: Ended) -> None:
        end = self._streams.pop(step.stream).end()
        self._check(self._values.fill(step.expected.error) or {"code": "OK"}, _facts(end))

    @do.register
    def _advance(self, step: Advance) -> None:
        for move in range(1, _MOVES + 1):
            self._target.advance(step.seconds)
            if step.until is None:
                return
            try:
                self._compare(step.until.expected, self._begin(step.until).result)
            except NotConformingError as error:
                if move == _MOVES:
                    raise NotConformingError(f"after {_MOVES} moves of the clock: {error}") from error
            else:
                return

    @do.register
    def _restart(self, step: Restart) -> None:
        del step
        self._target.restart()

    def finish(self, scenario: Scenario) -> None:
        """Check that no unexpected decision was received, and close the streams."""
        unread = {name: stream.unread() for name, stream in self._streams.items()}
        for name, stream in self._streams.items():
            if not unread[name]:
                stream.send(ProposeRequest(goodbye=True))
                stream.half_close()
                stream.end()
        for name, decisions in unread.items():
            if came := [_json(each) for each in decisions]:
                raise NotConformingError(
                    f"{scenario.file}: {scenario.name!r}\n"
                    f"stream {name!r} brought decisions that no step awaits: {came}"
                )

    def _begin(self, step: Call) -> Future[Any]:
        type_ = GetMessageClass(_METHODS[step.method].input_type)
        return self._target.call(step.method, self._parse(type_, step.request))

    def _repeat(self, step: Call) -> None:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while True:
            try:
                self._compare(step.expected, self._begin(step).result)
            except NotConformingError as error:
                if time.monotonic() > deadline:
                    raise NotConformingError(f"even after {DEADLINE_SECONDS} s: {error}") from error
                time.sleep(_PAUSE_SECONDS)
            else:
                return

    def _compare(self, expected: Expected, answer: Callable[[], Message]) -> None:
        """Check a call's response or failure, and save the requested values."""
        try:
            got = _json(answer())
        except CallError as error:
            if expected.error is None:
                raise
            self._check(self._values.fill(expected.error), _facts(error.failure))
            return
        if expected.error is not None:
            raise NotConformingError(f"it was to fail with {expected.error}, and was answered {got}")
        self._check(self._values.fill(expected.message), got)
        self._save(expected.save, got)

    def _check(self, expected: Json, got: Json) -> None:
        if differences := list(self._matcher.differences(expected, got)):
            raise NotConformingError("\n".join(["not as expected:", *differences, f"all of it: {got}"]))

    def _save(self, save: dict[str, str], got: Json) -> None:
        for name, path in save.items():
            value = got
            for part in path.split("."):
                value = value[int(part)] if isinstance(value, list) else value[part]
            self._values.saved[name] = value

    def _parse(self, type_: Any, message: Json) -> Any:
        return ParseDict(self._values.fill(message), type_())


def _json(message: Message) -> Json:
    return MessageToDict(message)


def _facts(failure: Failure) -> Json:
    """Return a failure in the form of scenarios."""
    return {
        "code": failure.code.name,
        "reason": failure.reason,
        "metadata": failure.metadata,
        "fields": list(failure.fields),
        "message": failure.message,
        "retrySeconds": failure.retry_seconds,
    }
