"""How full a limit is and how long a lease lasts, as people read it."""

import sys

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from clearway.v1.concurrency_limit_pb2 import SlotHolder
from clearway_cli import _output, _slots

NOON = Timestamp(seconds=1_767_268_800)


@pytest.mark.parametrize(
    ("used", "limit", "expected"),
    [
        (0, 4, "[..........]"),
        (1, 4, "[##........]"),
        (2, 4, "[#####.....]"),
        (4, 4, "[##########]"),
        (9, 4, "[##########]"),
        (1, 1_000, "[#.........]"),
        (999, 1_000, "[#########.]"),
        (0, 0, "closed"),
        (3, 0, "closed"),
    ],
)
def test_a_bar_is_full_only_where_no_slot_is_free(used: int, limit: int, expected: str) -> None:
    assert _slots.bar(used, limit).plain == expected


def test_a_terminal_is_shown_a_drawn_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_output, "draws", lambda: True)
    assert _slots.bar(1, 4).plain == "██░░░░░░░░"


@pytest.mark.parametrize(
    ("terminal", "encoding", "draws"),
    [(True, "utf-8", True), (True, "ascii", False), (False, "utf-8", False)],
)
def test_only_a_terminal_that_has_the_characters_is_drawn_on(
    monkeypatch: pytest.MonkeyPatch, *, terminal: bool, encoding: str, draws: bool
) -> None:
    class Stdout:
        def __init__(self) -> None:
            self.encoding = encoding

        def isatty(self) -> bool:
            return terminal

    monkeypatch.setattr(sys, "stdout", Stdout())
    assert _output.draws() is draws


@pytest.mark.parametrize(("left", "expected"), [(26, "26s"), (90, "1m"), (0, "expired"), (-5, "expired")])
def test_what_is_left_of_a_lease(left: int, expected: str) -> None:
    holder = SlotHolder(lease_expire_time=Timestamp(seconds=NOON.seconds + left))
    assert _slots.lease_text(holder, NOON).plain == expected


def test_a_run_without_a_session_has_no_lease() -> None:
    assert _slots.lease_text(SlotHolder(), NOON).plain == "none"
    assert _slots.client_text("").plain == "no session"


@pytest.mark.parametrize(("number", "expected"), [(1, "1 slot"), (2, "2 slots"), (1_000, "1,000 slots")])
def test_slots_are_counted(number: int, expected: str) -> None:
    assert _slots.counted(number) == expected
