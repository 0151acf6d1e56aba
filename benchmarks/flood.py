"""Clients that propose at full speed, each on its own stream.

python -m benchmarks.flood ADDRESS CLIENTS SECONDS   prints their total decisions per second
"""

from __future__ import annotations

import asyncio
import sys
import time

import grpc.aio

from benchmarks.stream import open_stream
from benchmarks.work import endings, proposals
from clearway.v1 import proposal_pb2

_A_MESSAGE = 256
# About how many proposals each client has in flight: more than any turn takes.
_IN_FLIGHT = 4_096
# How long proposals in flight at the end have to be decided.
_DRAIN_SECONDS = 60.0


class Flooder:
    """One stream that starts and completes task runs, with thousands of proposals in flight.

    Attributes:
        decided: The number of decisions received.
    """

    def __init__(self) -> None:
        self.decided = 0
        self._proposed = 0
        self._room = asyncio.Event()

    async def flood(self, address: str, seconds: float) -> float:
        """Propose for ``seconds``; return the decisions per second."""
        options = [("grpc.use_local_subchannel_pool", 1)]
        async with grpc.aio.insecure_channel(address, options=options) as channel:
            call, flow = await open_stream(channel)
            reading = asyncio.create_task(self._read(call))
            begun = time.monotonic()
            started: list[proposal_pb2.Proposal] = []
            while time.monotonic() < begun + seconds:
                while self._proposed - self.decided >= _IN_FLIGHT:
                    self._room.clear()
                    await self._room.wait()
                batch = endings(started)
                started = proposals(flow, _A_MESSAGE // 2)
                self._proposed += len(batch) + len(started)
                await call.write(proposal_pb2.ProposeRequest(proposals=batch + started))
            rate = self.decided / (time.monotonic() - begun)
            await call.write(proposal_pb2.ProposeRequest(goodbye=True))
            await call.done_writing()
            await asyncio.wait_for(reading, _DRAIN_SECONDS)
            assert self.decided == self._proposed
            return rate

    async def _read(
        self, call: grpc.aio.StreamStreamCall[proposal_pb2.ProposeRequest, proposal_pb2.ProposeResponse]
    ) -> None:
        while isinstance(message := await call.read(), proposal_pb2.ProposeResponse):
            assert all(decision.HasField("accept") for decision in message.decisions)
            self.decided += len(message.decisions)
            self._room.set()


async def _flood(address: str, clients: int, seconds: float) -> float:
    return sum(await asyncio.gather(*(Flooder().flood(address, seconds) for _ in range(clients))))


if __name__ == "__main__":
    where, count, time_ = sys.argv[1:]
    print(asyncio.run(_flood(where, int(count), float(time_))))
