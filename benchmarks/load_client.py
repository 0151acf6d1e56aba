"""A load generator: many streams in one process, each with many proposals in flight.

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

# The resolution of latencies: the logarithm of the ratio between adjacent buckets.
_STEP = math.log(1.02)
# How long proposals in flight at the end have to be decided.
_DRAIN_SECONDS = 60.0


@dataclass
class Tally:
    """The outcomes of the proposals.

    Attributes:
        decided: The number of decisions.
        seconds: The duration in seconds.
        errors: The number of errors, by description.
        buckets: The number of decisions by latency, as given by ``bucket_of``.
    """

    decided: int = 0
    seconds: float = 0.0
    errors: Counter[str] = field(default_factory=Counter)
    buckets: Counter[int] = field(default_factory=Counter)


def bucket_of(seconds: float) -> int:
    """Return the bucket of a latency."""
    return int(math.log(max(seconds, 1e-6)) / _STEP)


def seconds_of(bucket: int) -> float:
    """Return the lower bound of a bucket, in seconds."""
    return math.exp(bucket * _STEP)


class Talker:
    """One stream, which sends the next proposal for each decision it receives.

    Args:
        address: The address of the server.
        in_flight: The number of undecided proposals at any time.
        until: When to stop proposing, by the monotonic clock.
        tally: Counts the outcomes.
    """

    def __init__(self, address: str, in_flight: int, until: float, tally: Tally) -> None:
        self._address = address
        self._in_flight = in_flight
        self._until = until
        self._tally = tally
        self._sent: dict[str, tuple[float, proposal_pb2.Proposal]] = {}

    async def talk(self) -> None:
        """Propose until the time is over, and wait until everything is decided."""
        # A separate connection, as clients in separate processes have.
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
        """Count a decision, and return its proposal."""
        since, proposal = self._sent.pop(decision.proposal_id)
        self._tally.decided += 1
        self._tally.buckets[bucket_of(time.perf_counter() - since)] += 1
        if not decision.HasField("accept"):
            self._tally.errors[str(decision)[:200]] += 1
        return proposal


async def talk(address: str, streams: int, in_flight: int, seconds: float) -> Tally:
    """Run ``streams`` concurrent streams, and return the outcomes."""
    tally = Tally()
    begun = time.monotonic()
    talkers = [Talker(address, in_flight, begun + seconds, tally) for _ in range(streams)]
    await asyncio.gather(*(talker.talk() for talker in talkers))
    tally.seconds = time.monotonic() - begun
    return tally


if __name__ == "__main__":
    where, count, depth, time_ = sys.argv[1:]
    print(json.dumps(vars(asyncio.run(talk(where, int(count), int(depth), float(time_))))))
