"""Portable errors: a run's exception in a form that needs neither Python nor the exception's class."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from clearway._base.error_kinds import RunErrorKind
from clearway._base.errors import NonRetryable
from clearway._base.texts import UNSIGNED, encodable
from clearway._base.tracebacks import folded

if TYPE_CHECKING:
    from clearway.v1 import state_pb2

__all__ = ["RunError", "RunErrorKind"]

_MAX_TYPE: Final = 255
_MAX_MESSAGE: Final = 4_096
_MAX_TRACE: Final = 16_384
_MAX_DEPTH: Final = 8
_MAX_MEMBERS: Final = 16
_MAX_BYTES: Final = 65_536
_LEAST: Final = 64


@dataclass(frozen=True, slots=True)
class RunError:
    """The portable form of an exception that ended a run, readable without the exception's class.

    Attributes:
        type: The exception's full name, such as ``builtins.ValueError``.
        message: The exception's message and notes, at most 4,096 characters.
        stack_trace: Where it was raised, innermost frame last, without Clearway's own frames; shortened in
            the middle to 16,384 characters. Empty if it was never raised.
        cause: The exception that it was raised from, or that was being handled when it was raised; None if
            there is none. At most 8 levels deep.
        members: The exceptions of an exception group, at most 16.
        unsigned: True if the error came through the service and this process has
            ``CLEARWAY_RESULT_SIGNING_KEY`` set: errors are not signed, so another client may have forged it,
            and its texts begin with ``[unsigned]``. Ignored when errors are compared.
        kind: What kind of error ended the run. ``UNKNOWN`` for ``cause`` and ``members``, except below an
            ``UPSTREAM`` error, whose cause is another run's error.
        non_retryable: True if the run is not retried after this error, even if it has retries left; see
            ``clearway.exceptions.NonRetryable``. Only the outermost error counts. Default False.
    """

    type: str
    message: str
    stack_trace: str = ""
    cause: RunError | None = None
    members: tuple[RunError, ...] = ()
    unsigned: bool = field(default=False, compare=False)
    kind: RunErrorKind = RunErrorKind.UNKNOWN
    non_retryable: bool = False

    @property
    def type_name(self) -> str:
        """The exception's name as Python prints it, without ``builtins``."""
        return self.type.removeprefix("builtins.")

    @property
    def title(self) -> str:
        """The exception as in the last line of a traceback; begins with ``[unsigned]`` if it is unsigned."""
        title = f"{self.type_name}: {self.message}" if self.message else self.type_name
        return f"{UNSIGNED}{title}" if self.unsigned else title

    def __str__(self) -> str:
        """Return the exception with its stack trace, followed by its causes."""
        return "\n".join(_lines(self))

    def to_proto(self) -> state_pb2.RunError:
        """Return the error as a protocol message."""
        from clearway.v1 import state_pb2  # noqa: PLC0415 - messages are loaded when first needed

        return state_pb2.RunError(
            type=self.type,
            message=self.message,
            stack_trace=self.stack_trace,
            cause=None if self.cause is None else self.cause.to_proto(),
            members=[member.to_proto() for member in self.members],
            kind=state_pb2.RunErrorKind.ValueType(self.kind),
            non_retryable=self.non_retryable,
        )

    @staticmethod
    def from_proto(message: state_pb2.RunError, *, unsigned: bool = False) -> RunError:
        """Return the error that a protocol message holds.

        Args:
            message: The protocol message.
            unsigned: True marks its texts as not signed; see the attribute.
        """
        return RunError(
            message.type,
            message.message,
            message.stack_trace,
            RunError.from_proto(message.cause, unsigned=unsigned) if message.HasField("cause") else None,
            tuple(RunError.from_proto(member, unsigned=unsigned) for member in message.members),
            unsigned,
            RunErrorKind(message.kind),
            message.non_retryable,
        )

    @staticmethod
    def from_exception(error: BaseException, kind: RunErrorKind = RunErrorKind.APPLICATION) -> RunError:
        """Return the portable form of an exception, at most 65,536 bytes when serialized.

        Args:
            error: The exception.
            kind: What kind of error ended the run. Default ``APPLICATION``.
        """
        folded(error)
        longest, depth, members = _MAX_TRACE, _MAX_DEPTH, _MAX_MEMBERS
        while True:
            report = replace(
                _report(error, depth, longest, members, set()),
                kind=kind,
                non_retryable=isinstance(error, NonRetryable),
            )
            if report.to_proto().ByteSize() <= _MAX_BYTES or longest < _LEAST:
                return report
            longest, depth, members = longest // 2, max(1, depth - 1), max(1, members - 2)


def _report(error: BaseException, depth: int, longest: int, members: int, seen: set[int]) -> RunError:
    seen.add(id(error))
    source = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    cause = None
    if source is not None and depth > 1 and id(source) not in seen:
        cause = _report(source, depth - 1, longest, members, seen)
    inner: tuple[RunError, ...] = ()
    if isinstance(error, BaseExceptionGroup) and depth > 1:
        shown = [each for each in error.exceptions if id(each) not in seen][:members]
        inner = tuple(_report(each, depth - 1, longest // 2, members, seen) for each in shown)
    return RunError(
        type=type_of(error),
        message=_cut(message_of(error), min(_MAX_MESSAGE, longest)),
        stack_trace=_cut("".join(traceback.format_tb(error.__traceback__)), longest, middle=True),
        cause=cause,
        members=inner,
    )


def type_of(error: BaseException) -> str:
    """Return the full name of an exception's type, such as ``builtins.ValueError``."""
    kind = type(error)
    return encodable(f"{kind.__module__}.{kind.__qualname__}")[:_MAX_TYPE]


def message_of(error: BaseException) -> str:
    """Return an exception's message and notes, even if its ``__str__`` raises."""
    try:
        text = str(error)
    except Exception as broken:  # noqa: BLE001 - a user's __str__
        text = f"(no message: its __str__ raised {type(broken).__name__})"
    notes = getattr(error, "__notes__", None)
    if isinstance(notes, list):
        text = "\n".join([text, *(note for note in notes if isinstance(note, str))])
    return text


def _cut(text: str, length: int, *, middle: bool = False) -> str:
    text = encodable(text)
    if len(text) <= length:
        return text
    sign = f"\n  ... {len(text) - length:,} characters left out ...\n" if middle else "..."
    room = max(0, length - len(sign))
    head = room // 3 if middle else room
    return text[:head] + sign + (text[len(text) - (room - head) :] if middle else "")


def _lines(error: RunError) -> Iterator[str]:
    yield error.title
    if error.stack_trace:
        yield error.stack_trace.rstrip("\n")
    for number, member in enumerate(error.members, 1):
        yield f"  [{number}] " + str(member).replace("\n", "\n  ")
    if error.cause is not None:
        yield f"Caused by {error.cause}"
