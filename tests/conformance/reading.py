"""Reading: parses scenario files strictly, with errors that name the place."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from clearway.v1 import orchestrator_pb2
from conformance.fields import field_problems
from conformance.matching import seconds
from conformance.placeholders import UnknownPlaceholderError, saved_names
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

FOLDER = Path(__file__).parent / "scenarios"
NEEDS = {
    "clock": "the service's clock is moved",
    "restart": "the service is killed and started again",
    "wire": "what is seen only on a connection: the order of messages, pongs",
}

_METHODS = orchestrator_pb2.DESCRIPTOR.services_by_name["Orchestrator"].methods_by_name
_STREAM = _METHODS["Propose"]
_WELCOME = _STREAM.output_type.fields_by_name["welcome"].message_type
_DECISION = _STREAM.output_type.fields_by_name["decisions"].message_type
_FIRST = {"hello": {"clientName": "conformance"}}
_ERROR_KEYS = ("code", "reason", "metadata", "fields", "message", "retrySeconds")
_EXPECTED_KEYS = ("expect", "error", "save")
_KEYS = {
    "call": ("request", "background", "eventually", *_EXPECTED_KEYS),
    "await": _EXPECTED_KEYS,
    "open": ("first", *_EXPECTED_KEYS),
    "stream": ("send", "decisions", "pong", "save"),
    "half_close": (),
    "kill": (),
    "ended": ("error",),
    "advance": ("until",),
    "restart": (),
}


class ScenarioError(ValueError):
    """A scenario is invalid; the message names the place and what would be valid."""


def read_all(folder: Path = FOLDER) -> list[Scenario]:
    """Return the scenarios of all files in ``folder``, ordered by file name.

    Raises:
        ScenarioError: A scenario is invalid, or two have the same name.
    """
    scenarios = [scenario for path in sorted(folder.glob("*.json")) for scenario in read(path)]
    seen: dict[str, str] = {}
    for scenario in scenarios:
        if scenario.name in seen:
            raise ScenarioError(
                f"{scenario.file}: {scenario.name!r} is the name of a scenario of {seen[scenario.name]} too"
            )
        seen[scenario.name] = scenario.file
    return scenarios


def read(path: Path) -> list[Scenario]:
    """Return the scenarios of one file.

    Raises:
        ScenarioError: A scenario is invalid.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ScenarioError(f"{path.name}: it is no JSON: {error}") from error
    return parse(document, path.name)


def parse(document: Json, file: str) -> list[Scenario]:
    """Return the scenarios of one file's content.

    Raises:
        ScenarioError: A scenario is invalid.
    """
    _check_keys(file, document, required=("about", "scenarios"), others=("before",))
    before = document.get("before", [])
    return [_Parser(file, scenario).scenario(before) for scenario in document["scenarios"]]


def _check_keys(where: str, value: Any, required: Iterable[str], others: Iterable[str]) -> None:
    if not isinstance(value, Mapping):
        raise ScenarioError(f"{where}: {value!r} must be an object")
    if absent := [key for key in required if key not in value]:
        raise ScenarioError(f"{where}: '{absent[0]}' is not there")
    allowed = [*required, *others]
    if unknown := [key for key in value if key not in allowed]:
        raise ScenarioError(f"{where}: '{unknown[0]}' is no key here; there are {', '.join(allowed)}")


class _Parser:
    """Parses one scenario, and tracks the streams and calls that its steps have opened."""

    def __init__(self, file: str, scenario: Json) -> None:
        _check_keys(file, scenario, required=("name", "why", "steps"), others=("needs",))
        self._scenario = scenario
        self._file = file
        self._where = f"{file}: {scenario['name']!r}"
        self._saved: set[str] = set()
        self._streams: set[str] = set()
        self._background: dict[str, str] = {}

    def scenario(self, before: list[Json]) -> Scenario:
        name, why = self._scenario["name"], self._scenario["why"]
        if not (name[:1].isupper() or name[:1].isdigit()) or name.endswith(".") or " " not in name:
            raise ScenarioError(f"{self._where}: a name is a sentence, without its full stop")
        if len(why) < len("because"):
            raise ScenarioError(f"{self._where}: 'why' is {why!r}; it must say what would go wrong otherwise")
        steps = [*before, *self._scenario["steps"]]
        parsed = tuple(self._step(number, step, len(before)) for number, step in enumerate(steps, start=1))
        if self._background:
            raise ScenarioError(f"{self._where}: nothing awaits {', '.join(self._background)}")
        return Scenario(name, why, self._needs(parsed), parsed, self._file)

    def _needs(self, steps: tuple[Step, ...]) -> frozenset[str]:
        needs = self._scenario.get("needs", [])
        if unknown := [need for need in needs if need not in NEEDS]:
            raise ScenarioError(f"{self._where}: 'needs' has {unknown[0]!r}; there are {', '.join(NEEDS)}")
        for need, kind in (("clock", Advance), ("restart", Restart)):
            if any(isinstance(step, kind) for step in steps) != (need in needs):
                raise ScenarioError(
                    f"{self._where}: 'needs' must have '{need}' where {NEEDS[need]}, only there"
                )
        if any(isinstance(step, Exchange) and step.pong for step in steps) and "wire" not in needs:
            raise ScenarioError(f"{self._where}: 'needs' must have 'wire' where a pong is awaited")
        return frozenset(needs)

    def _step(self, number: int, step: Json, shared: int) -> Step:
        place = f"step {number - shared}" if number > shared else f"step {number} of 'before'"
        where = f"{self._where}: {place}"
        if not isinstance(step, Mapping):
            raise ScenarioError(f"{where}: {step!r} must be an object")
        kinds = [kind for kind in _KEYS if kind in step]
        if len(kinds) != 1:
            raise ScenarioError(f"{where}: it must have one of {', '.join(_KEYS)}")
        _check_keys(where, step, required=kinds, others=_KEYS[kinds[0]])
        try:
            if unknown := set(saved_names(dict(step))) - self._saved:
                raise ScenarioError(f"{where}: nothing before it saved {', '.join(sorted(unknown))}")
            parsed: Step = getattr(self, f"_{kinds[0]}")(where, step)
        except (UnknownPlaceholderError, ValueError) as error:
            raise error if isinstance(error, ScenarioError) else ScenarioError(f"{where}: {error}") from error
        return parsed

    def _call(self, where: str, step: Json) -> Call:
        method = self._method(where, step["call"])
        request = step.get("request", {})
        self._check_fields(where, _METHODS[method].input_type, request, "request", expected=False)
        background = step.get("background", "")
        if background:
            if len(step.keys() & {*_EXPECTED_KEYS, "eventually"}):
                raise ScenarioError(
                    f"{where}: what a call in the background answers is said where it is awaited"
                )
            self._background[background] = method
            return Call(method, request, Expected(), background)
        return Call(
            method, request, self._expected(where, step, _METHODS[method]), "", bool(step.get("eventually"))
        )

    def _method(self, where: str, name: str) -> str:
        unary = [method for method in _METHODS if method != _STREAM.name]
        if name not in unary:
            raise ScenarioError(f"{where}: {name!r} is no unary RPC; there are {', '.join(unary)}")
        return name

    def _await(self, where: str, step: Json) -> Await:
        name = step["await"]
        if name not in self._background:
            raise ScenarioError(f"{where}: no call in the background has the name {name!r}")
        method = self._background.pop(name)
        return Await(name, method, self._expected(where, step, _METHODS[method]))

    def _open(self, where: str, step: Json) -> Open:
        first = step.get("first", _FIRST)
        self._check_fields(where, _STREAM.input_type, first, "first", expected=False)
        self._streams.add(step["open"])
        return Open(step["open"], first, self._expected(where, step, None))

    def _stream(self, where: str, step: Json) -> Exchange:
        message, decisions = step.get("send"), step.get("decisions", [])
        if message is not None:
            self._check_fields(where, _STREAM.input_type, message, "send", expected=False)
        for place, decision in enumerate(decisions):
            self._check_fields(where, _DECISION, decision, f"decisions.{place}", expected=True)
            if "proposalId" not in decision:
                raise ScenarioError(f"{where}: decisions.{place} must have the 'proposalId' that it is about")
        save = step.get("save", {})
        self._saved.update(save)
        return Exchange(self._known(where, step["stream"]), message, decisions, step.get("pong", 0), save)

    def _half_close(self, where: str, step: Json) -> HalfClose:
        return HalfClose(self._known(where, step["half_close"]))

    def _kill(self, where: str, step: Json) -> Kill:
        return Kill(self._known(where, step["kill"]))

    def _ended(self, where: str, step: Json) -> Ended:
        expected = (
            Expected(error=self._error(where, step["error"])) if "error" in step else Expected(message={})
        )
        return Ended(self._known(where, step["ended"]), expected)

    def _advance(self, where: str, step: Json) -> Advance:
        until = step.get("until")
        if until is not None:
            _check_keys(where, until, required=("call", "expect"), others=("request",))
        return Advance(seconds(step["advance"]), self._call(where, until) if until is not None else None)

    def _restart(self, where: str, step: Json) -> Restart:
        if step["restart"] != "server":
            raise ScenarioError(f"{where}: 'restart' is {step['restart']!r}; it must be 'server'")
        return Restart()

    def _known(self, where: str, stream: str) -> str:
        if stream not in self._streams:
            raise ScenarioError(f"{where}: no stream {stream!r} was opened before")
        return stream

    def _expected(self, where: str, step: Json, method: Any) -> Expected:
        """Return the expectation for a response of ``method``, or for a welcome if that is None."""
        save = step.get("save", {})
        self._saved.update(save)
        if "error" in step:
            if "expect" in step or save:
                raise ScenarioError(f"{where}: a call that fails answers nothing to expect or to save")
            return Expected(error=self._error(where, step["error"]))
        message = step.get("expect", {})
        output = _WELCOME if method is None else method.output_type
        self._check_fields(where, output, message, "expect", expected=True)
        return Expected(message=message, save=save)

    def _error(self, where: str, error: Json) -> Json:
        _check_keys(f"{where}: error", error, required=("code",), others=_ERROR_KEYS[1:])
        return error

    def _check_fields(self, where: str, descriptor: Any, value: Json, name: str, *, expected: bool) -> None:
        for problem in field_problems(descriptor, value, name, expected=expected):
            raise ScenarioError(f"{where}: {problem}")
