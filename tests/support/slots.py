"""Shorthands for holding slots and queueing for them, on a stream."""

from __future__ import annotations

from clearway.v1.proposal_pb2 import Proposal
from support.client import Stream
from support.proposals import COMPLETED, move, start


def hold(stream: Stream, flow: str, *tags: str) -> str:
    """Start a run that must get its slots at once; return its id."""
    decision = stream.decide(start(flow, tags=tags))
    assert decision.HasField("accept"), decision
    return decision.run_id


def stand(stream: Stream, flow: str, *tags: str) -> Proposal:
    """Start a run that has to wait; return its proposal."""
    proposal = start(flow, tags=tags)
    decision = stream.decide(proposal)
    assert decision.wait.queued, decision
    return proposal


def finish(stream: Stream, *run_ids: str) -> None:
    """Complete runs."""
    for run_id in run_ids:
        assert stream.decide(move(run_id, COMPLETED)).HasField("accept")
