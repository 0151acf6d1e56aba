"""A client under load: many streams in one process, each with many proposals in flight.

python -m benchmarks.load_client ADDRESS STREAMS IN_FLIGHT SECONDS   prints a ``Tally`` as JSON
"""

from __future__ import annotations

import asyncio
import json
import math
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

import grpc.aio

from benchmarks.stream import open_stream
from benchmarks.work import endings, proposals
from clearway.v1 import proposal_pb2

# How finely latencies are counted: each bucket is this part wider than the one before.
_STEP = math.log(1.02)
# What is in flight when the time is over has so long to be answered.
_DRAIN_SECONDS = 60.0


@dataclass
class Tally:
    """What became of the proposals.

    Attributes:
        decided: How many were decided.
        seconds: In how many seconds.
        errors: What went wrong, with how often it did.
        buckets: How many decisions took how long, by ``bucket_of``.
    """

    decided: int = 0
    seconds: float = 0.0
    errors: Counter[str] = field(default_factory=Counter)
    buckets: Counter[int] = field(default_factory=Counter)


def bucket_of(seconds: float) -> int:
    """Return the bucket of a latency."""
    return int(math.log(max(seconds, 1e-6)) / _STEP)


def seconds_of(bucket: int) -> float:
    """Return the latency that a bucket begins with."""
    return math.exp(bucket * _STEP)


class Talker:
    """One stream, which proposes the next thing for each decision that it gets.

    Args:
        address: Of the server.
        in_flight: How many proposals are undecided at any time.
        until: When to propose no more, by the monotonic clock.
        tally: Where it is counted.
    """

    def __init__(self, address: str, in_flight: int, until: float, tally: Tally) -> None:
        self._address = address
        self._in_flight = in_flight
        self._until = until
        self._tally = tally
        self._sent: dict[str, tuple[float, proposal_pb2.Proposal]] = {}

    async def talk(self) -> None:
        """Converse until the time is over and all that was proposed is decided."""
        # A connection of its own, as clients in processes of their own have.
        options = [("grpc.use_local_subchannel_pool", 1)]
        async with grpc.aio.insecure_channel(self._address, options=options) as channel:
            try:
                call, flow = await open_stream(channel)
                await self._send(call, proposals(flow, self._in_flight))
                while self._sent:
                    message = await asyncio.wait_for(call.read(), _DRAIN_SECONDS)
                    if not isinstance(message, proposal_pb2.ProposeResponse):
                        self._tally.errors["the stream ended"] += 1
                        return
                    decided = [self._count(decision) for decision in message.decisions]
                    if time.monotonic() < self._until:
                        ended = endings([each for each in decided if each.HasField("create_task_run")])
                        await self._send(call, ended + proposals(flow, len(decided) - len(ended)))
                await call.write(proposal_pb2.ProposeRequest(goodbye=True))
            except (grpc.aio.AioRpcError, TimeoutError) as error:
                self._tally.errors[f"{type(error).__name__}: {error}"[:200]] += 1

    async def _send(
        self,
        call: grpc.aio.StreamStreamCall[proposal_pb2.ProposeRequest, proposal_pb2.ProposeResponse],
        batch: list[proposal_pb2.Proposal],
    ) -> None:
        now = time.perf_counter()
        self._sent.update({proposal.id: (now, proposal) for proposal in batch})
        await call.write(proposal_pb2.ProposeRequest(proposals=batch))

    def _count(self, decision: proposal_pb2.Decision) -> proposal_pb2.Proposal:
        """Count a decision, and return what was proposed."""
        since, proposal = self._sent.pop(decision.proposal_id)
        self._tally.decided += 1
        self._tally.buckets[bucket_of(time.perf_counter() - since)] += 1
        if not decision.HasField("accept"):
            self._tally.errors[str(decision)[:200]] += 1
        return proposal


async def talk(address: str, streams: int, in_flight: int, seconds: float) -> Tally:
    """Hold so many conversations at once, and return what became of them."""
    tally = Tally()
    begun = time.monotonic()
    talkers = [Talker(address, in_flight, begun + seconds, tally) for _ in range(streams)]
    await asyncio.gather(*(talker.talk() for talker in talkers))
    tally.seconds = time.monotonic() - begun
    return tally


if __name__ == "__main__":
    where, count, depth, time_ = sys.argv[1:]
    print(json.dumps(vars(asyncio.run(talk(where, int(count), int(depth), float(time_))))))
