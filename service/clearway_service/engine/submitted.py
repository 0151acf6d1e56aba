"""Submitted proposals: those that wait for a turn of the pipeline, with their replies."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from clearway_service.core.proposals import Answer, Outcome, Proposal
from clearway_service.engine.budget import Caller
from clearway_service.errors import ClearwayError

# The size of a decision without the state's result and message.
_DECISION_BYTES = 512


class Failure(NamedTuple):
    """A proposal that failed with an error before it could be decided; nothing was changed."""

    proposal_id: str
    error: ClearwayError


Result = Outcome | Failure
Reply = Callable[[list[Result]], None]


class Submitted(NamedTuple):
    """A proposal, with how its result reaches the client.

    Attributes:
        proposal: The proposal.
        reply: Called with the result.
        caller: Its client; None for one within this process.
        arrival: Its number in the order of arrival; proposals submitted together share one.
        size: The memory counted for it, in bytes.
        looked_up: Whether it is only looked up: the recorded decision is returned, and nothing is decided.
    """

    proposal: Proposal
    reply: Reply
    caller: Caller | None = None
    arrival: int = 0
    size: int = 0
    looked_up: bool = False


def size_of(result: Result) -> int:
    """Return the approximate size of a decision in bytes, from its client-supplied parts."""
    if not isinstance(result, Answer):
        return _DECISION_BYTES
    state = result.state
    return _DECISION_BYTES + len(state.message) + (0 if state.data is None else len(state.data))
