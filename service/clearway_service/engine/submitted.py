"""Submitted proposals: what waits for a turn of the pipeline, and how its client gets the result."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from clearway_service.core.proposals import Answer, Outcome, Proposal
from clearway_service.engine.budget import Caller
from clearway_service.errors import ClearwayError

# What a decision takes beside the state's result and message.
_DECISION_BYTES = 512


class Failure(NamedTuple):
    """A proposal that met an error before it could be decided; nothing was changed."""

    proposal_id: str
    error: ClearwayError


Result = Outcome | Failure
Reply = Callable[[list[Result]], None]


class Submitted(NamedTuple):
    """A proposal and how its client gets the result.

    Attributes:
        proposal: The proposal.
        reply: Called with what became of it.
        caller: Its client; None for one within this process.
        arrival: Its place in the order of arrival, which those submitted together share.
        size: What it takes in memory, as it was counted, in bytes.
        looked_up: Whether it was decided before: the record is returned, and nothing is decided.
    """

    proposal: Proposal
    reply: Reply
    caller: Caller | None = None
    arrival: int = 0
    size: int = 0
    looked_up: bool = False


def size_of(result: Result) -> int:
    """Return about how many bytes a decision takes, from what a client chose the size of."""
    if not isinstance(result, Answer):
        return _DECISION_BYTES
    state = result.state
    return _DECISION_BYTES + len(state.message) + (0 if state.data is None else len(state.data))
