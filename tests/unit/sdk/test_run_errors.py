from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clearway.exceptions import NonRetryable
from clearway.run_errors import RunError, RunErrorKind
from clearway.v1.state_pb2 import RunErrorKind as TheirKind


class Mute(Exception):  # noqa: N818 - a user's name for it
    def __str__(self) -> str:
        raise RuntimeError("no words")


def caught(error: BaseException, cause: BaseException | None = None) -> BaseException:
    try:
        raise error from cause  # noqa: TRY301 - to catch it
    except BaseException as found:  # noqa: BLE001 - that is what is wanted
        return found


def told(error: BaseException) -> RunError:
    """Return the portable form as it is after a way over the wire."""
    report = RunError.from_exception(error)
    message = report.to_proto()
    read = type(message).FromString(message.SerializeToString())
    assert RunError.from_proto(read) == report
    return report


def test_an_exception_has_its_type_its_message_and_where_it_was_raised() -> None:
    report = told(caught(ValueError("bad ünïcode ☂")))
    assert (report.type, report.message) == ("builtins.ValueError", "bad ünïcode ☂")
    assert "raise error from cause" in report.stack_trace
    assert report.cause is None
    assert report.title == "ValueError: bad ünïcode ☂"


def test_what_it_was_raised_from_is_its_cause() -> None:
    report = told(caught(ValueError("outer"), caught(KeyError("k"), caught(OSError("disk")))))
    assert report.cause is not None
    assert report.cause.title == "KeyError: 'k'"
    assert report.cause.cause is not None
    assert str(report).count("Caused by") == 2


def test_what_it_was_raised_while_handling_is_its_cause_unless_that_was_suppressed() -> None:
    error = ValueError("outer")
    error.__context__ = KeyError("k")
    assert told(error).cause is not None
    error.__suppress_context__ = True
    assert told(error).cause is None


def test_a_group_has_its_members() -> None:
    group = ExceptionGroup("two", [caught(ValueError("a")), ExceptionGroup("one", [KeyError("b")])])
    report = told(group)
    assert [member.title for member in report.members] == [
        "ValueError: a",
        "ExceptionGroup: one (1 sub-exception)",
    ]
    assert report.members[1].members[0].title == "KeyError: 'b'"
    assert "[2]" in str(report)


def test_notes_are_part_of_the_message() -> None:
    error = ValueError("bad")
    error.add_note("row 17")
    assert told(error).message == "bad\nrow 17"


def test_a_message_that_cannot_be_had_does_no_harm() -> None:
    assert told(Mute()).message == "(no message: its __str__ raised RuntimeError)"


def test_what_utf_8_cannot_hold_is_written_out() -> None:
    assert told(FileNotFoundError("report-\udcff.csv")).message == "report-\\udcff.csv"


def test_a_huge_message_is_cut() -> None:
    report = told(ValueError("☂" * 10_000_000))
    assert len(report.message) == 4_096
    assert report.message.endswith("...")


def test_a_long_stack_trace_keeps_its_beginning_and_its_end() -> None:
    namespace: dict[str, object] = {}
    lines = [f"def f{number}(): f{number + 1}()" for number in range(900)]
    exec("\n".join([*lines, "def f900(): raise ValueError('deep')"]), namespace)
    first = namespace["f0"]
    assert callable(first)
    with pytest.raises(ValueError, match="deep") as raised:
        first()
    trace = told(raised.value).stack_trace
    assert len(trace) <= 16_384
    assert "in f0\n" in trace
    assert "in f900\n" in trace
    assert "characters left out" in trace


def test_a_cause_that_is_a_circle_ends() -> None:
    one, other = ValueError("one"), ValueError("other")
    one.__cause__, other.__cause__ = other, one
    report = told(one)
    assert report.cause is not None
    assert report.cause.cause is None


def test_the_kinds_are_the_protocols_and_a_newer_one_is_unknown() -> None:
    theirs = {number: name.removeprefix("RUN_ERROR_KIND_") for name, number in TheirKind.items()}
    assert theirs == {int(kind): kind.name.replace("UNKNOWN", "UNSPECIFIED") for kind in RunErrorKind}
    assert RunErrorKind(99) is RunErrorKind.UNKNOWN


def test_only_the_outermost_error_has_a_kind_and_says_whether_it_may_be_retried() -> None:
    error = RunError.from_exception(caught(NonRetryable("no"), NonRetryable("inner")), RunErrorKind.RESULT)
    assert (error.kind, error.non_retryable) == (RunErrorKind.RESULT, True)
    assert error.cause is not None
    assert (error.cause.kind, error.cause.non_retryable) == (RunErrorKind.UNKNOWN, False)
    assert RunError.from_proto(error.to_proto()) == error
    outer = told(caught(ValueError("outer"), NonRetryable("inner")))
    assert (outer.kind, outer.non_retryable) == (RunErrorKind.APPLICATION, False)


def trees() -> st.SearchStrategy[BaseException]:
    leaves = st.text(max_size=20_000).map(ValueError)
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.tuples(leaves, inner).map(lambda pair: caught(*pair)),
            st.lists(inner, min_size=1, max_size=20).map(lambda some: ExceptionGroup("g", some)),  # type: ignore[type-var]
        ),
        max_leaves=30,
    )


@given(trees())
def test_it_is_never_larger_than_the_service_takes(error: BaseException) -> None:
    assert told(error).to_proto().ByteSize() <= 65_536


def test_a_wide_and_deep_tree_of_long_messages_fits() -> None:
    error: Exception = ValueError("☂" * 5_000)
    for _ in range(4):
        error = ExceptionGroup("☂" * 5_000, [error] + [caught(ValueError("☂" * 5_000)) for _ in range(30)])  # type: ignore[list-item]
    report = told(error)
    assert report.to_proto().ByteSize() <= 65_536
    assert report.members
