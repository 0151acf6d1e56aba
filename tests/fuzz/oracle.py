"""The oracle: checks that responses and errors are allowed, whatever was sent."""

from __future__ import annotations

import re
import threading
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from clearway.v1.error_pb2 import ErrorReason

_PROTO = Path(__file__).parents[2] / "protos" / "clearway" / "v1" / "error.proto"
_PYTHON = re.compile(
    r"Traceback|\b[A-Z]\w*(Error|Exception)\b|Exception (calling|deserializing|serializing)|object at 0x|"
    r"NoneType|\[Errno|File \"|<class '|<_Inactive"
)
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_MOST_TEXT = 1_000
_SHOWN = 4_000
_EXAMPLES = 2
_MOST_SHOWN = 6_000


def documented_reasons(proto: Path = _PROTO) -> dict[str, str]:
    """Return the status code of each error reason, as documented in the protocol's comments."""
    found = re.findall(r"(ERROR_REASON_\w+): (?:(?!ERROR_REASON_\w+ = ).)*?Status\s+(\w+)\.", _text(proto))
    return dict(found)


def documented_metadata(proto: Path = _PROTO) -> dict[str, set[str]]:
    """Return the metadata keys of each error reason, as documented in the protocol's comments."""
    comments = re.findall(r"(ERROR_REASON_\w+): (.*?)\1 = ", _text(proto))
    lists = {reason: re.search(r"Metadata: (.*?)\.", comment) for reason, comment in comments}
    return {
        reason: set(re.findall(r"`(\w+)`", found[1])) if found else set() for reason, found in lists.items()
    }


def _text(proto: Path) -> str:
    return " ".join(line.strip().removeprefix("// ") for line in proto.read_text().splitlines())


class Sent(NamedTuple):
    """A message that was sent.

    Attributes:
        number: Its number in the fuzzer's sequence.
        method: The RPC.
        body: The encoded message; for a stream, all messages sent so far.
    """

    number: str
    method: str
    body: bytes | tuple[bytes, ...]

    def __str__(self) -> str:
        bodies = self.body if isinstance(self.body, tuple) else (self.body,)
        shown = " | ".join(
            body[: _SHOWN // 2].hex() + ("..." if len(body) > _SHOWN // 2 else "") for body in bodies
        )
        return f"message {self.number} to {self.method}, {sum(map(len, bodies))} bytes: {shown[:_SHOWN]}"


class Findings:
    """Collects violations, the first few of each kind with the message sent. Thread-safe."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._examples: dict[str, list[str]] = defaultdict(list)
        self._lock = threading.Lock()

    def add(self, rule: str, what: str, sent: Sent | None = None) -> None:
        """Add a violation of a rule."""
        with self._lock:
            self.counts[rule] += 1
            if len(self._examples[rule]) < _EXAMPLES:
                self._examples[rule].append((what if sent is None else f"{what}\n    {sent}")[:_MOST_SHOWN])

    def lines(self) -> list[str]:
        """Return a human-readable report."""
        lines = []
        for rule, count in self.counts.most_common():
            lines.append(f"VIOLATION {rule}, {count} times:")
            lines += [f"  - {example}" for example in self._examples[rule]]
        return lines


class Oracle:
    """Checks responses and errors.

    Args:
        findings: Collects violations.
    """

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._reasons = documented_reasons()
        self._metadata = documented_metadata()
        self.statuses: Counter[str] = Counter()

    def judge_error(self, error: Any, sent: Sent) -> None:
        """Check the error of a call."""
        code, text = error.code(), error.details() or ""
        self.statuses[code.name] += 1
        add, method = self._findings.add, sent.method
        if code == grpc.StatusCode.RESOURCE_EXHAUSTED and "larger than max" in text:
            # Raised by the client: the response exceeds its default message size limit.
            add(f"{method}: an answer larger than clients take", text, sent)
            return
        self._judge_text(method, text, sent)
        try:
            status = rpc_status.from_call(error)
        except ValueError as wrong:
            add(f"{method}: details that contradict the status", f"{code}: {wrong}", sent)
            return
        info = error_details_pb2.ErrorInfo()
        if status is None or not any(detail.Unpack(info) for detail in status.details):
            add(f"{code.name} without a reason ({_kind(text)})", text[:300], sent)
        elif info.domain != "clearway" or self._reasons.get(info.reason) != code.name:
            add(
                f"{method}: a reason that is not documented", f"{code.name} {info.domain} {info.reason}", sent
            )
        else:
            self._judge_metadata(info.reason, info.metadata, sent)

    def judge_response(self, response: Message, sent: Sent) -> None:
        """Check the errors of single proposals in a response."""
        self.statuses["OK"] += 1
        for decision in getattr(response, "decisions", ()):
            if not decision.HasField("error"):
                continue
            reason = decision.error.reason
            if reason not in ErrorReason.values() or not reason:
                self._findings.add(f"{sent.method}: a proposal's error without a reason", f"{decision}", sent)
            else:
                self._judge_metadata(ErrorReason.Name(reason), decision.error.metadata, sent)
            self._judge_text(sent.method, decision.error.message, sent)

    def _judge_metadata(self, reason: str, metadata: Mapping[str, str], sent: Sent) -> None:
        if unknown := set(metadata) - self._metadata[reason]:
            self._findings.add(f"{sent.method}: {reason} with metadata {unknown}", f"{dict(metadata)}", sent)
        for value in metadata.values():
            self._judge_text(sent.method, value, sent)

    def _judge_text(self, method: str, text: str, sent: Sent) -> None:
        if _PYTHON.search(text):
            self._findings.add(f"an error that speaks Python ({_kind(text)})", text[:300], sent)
        if len(text) > _MOST_TEXT:
            self._findings.add(
                f"{method}: an error text of more than {_MOST_TEXT} characters", text[:300], sent
            )
        if _CONTROL.search(text):
            self._findings.add(f"{method}: an error text with control characters", repr(text[:300]), sent)


def _kind(text: str) -> str:
    """Return an error text without its values, to group similar errors."""
    return re.sub(r"'[^']*'|[0-9]+", "_", text[:120])[:60]
