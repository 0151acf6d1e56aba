"""A large message of the stream, in parts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clearway.v1.proposal_pb2 import Await, Hello, Proposal, ProposeRequest
from clearway_service.api.slicing import parse, slices
from clearway_service.errors import InvalidArgumentError
from support.proposals import new_id, start

MOST = 4_096


def joined(parts: list[bytes]) -> ProposeRequest:
    """Return the message that the parts are the same as."""
    whole = ProposeRequest()
    for part in parts:
        whole.MergeFrom(parse(part))
    return whole


@given(
    names=st.lists(st.text(max_size=3_000), max_size=300),
    withdrawals=st.lists(st.text(max_size=200), max_size=300),
    ping=st.integers(0, 2**63 - 1),
    goodbye=st.booleans(),
    hello=st.booleans(),
)
def test_the_parts_are_the_message(
    names: list[str], withdrawals: list[str], ping: int, *, goodbye: bool, hello: bool
) -> None:
    message = ProposeRequest(
        proposals=[Proposal(id=name) for name in names],
        withdrawals=withdrawals,
        awaits=[Await(task_run_id=name) for name in names[:50]],
        ping=ping,
        goodbye=goodbye,
        hello=Hello(client_name="a client") if hello else None,
    )
    parts = slices(message.SerializeToString(), MOST)
    assert joined(parts) == message
    first = parse(parts[0])
    assert (first.goodbye, first.ping, first.HasField("hello")) == (goodbye, ping, hello)
    assert all(len(parse(part).proposals) <= 64 for part in parts[1:])


def test_a_small_message_is_one_part() -> None:
    body = ProposeRequest(proposals=[start(new_id()) for _ in range(256)]).SerializeToString()
    assert slices(body, MOST) == [body]


def test_a_message_that_is_nothing_but_empty_items_is_refused_before_they_are_made() -> None:
    for field in (b"\x12\x00", b"\x1a\x00", b"\x32\x00"):
        with pytest.raises(InvalidArgumentError, match="at most"):
            slices(field * 1_000_000, MOST)


@pytest.mark.parametrize(
    "tail",
    [b"\x12", b"\x12\xff", b"\x12\x7f", b"\x13", b"\x09\x00", b"\xff" * 11],
    ids=lambda tail: tail.hex(),
)
def test_what_is_no_message_is_refused(tail: bytes) -> None:
    body = ProposeRequest(proposals=[start(new_id()) for _ in range(1_000)]).SerializeToString()
    with pytest.raises(InvalidArgumentError, match="no valid"):
        slices(body + tail, MOST)
    with pytest.raises(InvalidArgumentError, match="no valid"):
        parse(tail)
