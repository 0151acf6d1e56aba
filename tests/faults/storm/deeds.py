"""The deeds of a storm: random faults for random processes, undone after a while."""

from __future__ import annotations

import contextlib
import heapq
import itertools
import signal
import time
from collections.abc import Callable
from random import Random

import grpc

from clearway.v1.cache_pb2 import CacheFilter, InvalidateCacheRequest
from faults.storm.evidence import Trouble
from faults.storm.herd import Member
from faults.storm.world import World
from support.client import Client

_MEAN_PAUSE = 0.7
_CALL_SECONDS = 2.0
_SERVER_DEEDS = {"kill server": 4, "terminate server": 2, "stop server": 3}
_CLIENT_DEEDS = {"kill client": 8, "terminate client": 3, "stop client": 7}
_PROXY_DEEDS = {"cut": 7, "half-close": 4, "stall": 5, "slow down": 3, "refuse": 3}
_OTHER_DEEDS = {"invalidate": 3}
FOREVER = float("inf")


class Storm:
    """Inflicts faults on worlds for a time, and undoes all that can be undone.

    Args:
        worlds: The worlds to disturb.
        chance: The random generator.
    """

    def __init__(self, worlds: list[World], chance: Random) -> None:
        self._worlds, self._chance = worlds, chance
        self._undo: list[tuple[float, int, Callable[[], None]]] = []
        self._count = itertools.count()

    def rage(self, seconds: float) -> None:
        """Inflict faults for ``seconds``, then undo the remaining ones."""
        deadline = time.monotonic() + seconds
        while (now := time.monotonic()) < deadline:
            self._undo_due(now)
            self._do_one()
            until = min(deadline, time.monotonic() + self._chance.expovariate(1 / _MEAN_PAUSE))
            while (now := time.monotonic()) < until:
                self._undo_due(now)
                due = self._undo[0][0] if self._undo else until
                time.sleep(max(0.0, min(until, due) - now))
        self._undo_due(FOREVER)

    def _undo_due(self, now: float) -> None:
        while self._undo and self._undo[0][0] <= now:
            heapq.heappop(self._undo)[2]()

    def _later(self, seconds: float, undo: Callable[[], None]) -> None:
        heapq.heappush(self._undo, (time.monotonic() + seconds, next(self._count), undo))

    def _do_one(self) -> None:
        world = self._chance.choices(self._worlds, [len(world.herd.members) for world in self._worlds])[0]
        deeds = dict(_CLIENT_DEEDS)
        if world.server is not None:
            deeds |= _SERVER_DEEDS | _PROXY_DEEDS | _OTHER_DEEDS
        deed = self._chance.choices(list(deeds), list(deeds.values()))[0]
        world.deeds[deed] += 1
        if deed in _SERVER_DEEDS:
            self._do_to_server(world, deed)
        elif deed == "invalidate":
            _invalidate(world, self._chance.randrange(10))
        else:
            member = self._chance.choice(list(world.herd.members.values()))
            if deed in _CLIENT_DEEDS:
                self._do_to_client(world, member, deed)
            else:
                self._do_to_connection(world, member, deed)

    def _do_to_server(self, world: World, deed: str) -> None:
        server = world.server
        assert server is not None
        began = time.monotonic()
        if deed == "stop server":
            server.send(signal.SIGSTOP)
            time.sleep(self._chance.uniform(0.05, 1.3 * world.lease * (self._chance.random() < 0.3) + 0.5))
            server.send(signal.SIGCONT)
        elif deed == "kill server":
            server.kill()
        elif (code := server.stop()) != 0:
            world.herd.damage.append(f"the server ended with code {code} when it was told to stop")
        if deed != "stop server":
            time.sleep(self._chance.choice([0, 0, 0.3, 1.0]))
            server.start()
        world.troubles.append(Trouble("", deed, began, time.monotonic()))

    def _do_to_client(self, world: World, member: Member, deed: str) -> None:
        match deed:
            case "kill client":
                world.herd.replace(member, signal.SIGKILL)
            case "terminate client":
                world.herd.replace(member, signal.SIGTERM)
            case _:
                world.herd.stop(member)
                # Usually shorter than the lease, sometimes longer.
                long = self._chance.random() < 0.3 and world.server is not None
                away = self._chance.uniform(world.lease, 1.6 * world.lease) if long else 0.0
                self._later(
                    away or self._chance.uniform(0.05, 1.5),
                    lambda: world.herd.resume(member),
                )

    def _do_to_connection(self, world: World, member: Member, deed: str) -> None:
        proxy = member.proxy
        assert proxy is not None
        now, lasts = time.monotonic(), 0.0
        match deed:
            case "cut":
                proxy.cut()
            case "half-close":
                proxy.half_close(to_server=self._chance.random() < 0.5)
            case "stall":
                lasts = self._chance.uniform(0.1, 1.3 * world.lease if self._chance.random() < 0.3 else 1.5)
                proxy.hold()
                self._later(lasts, proxy.let_go)
            case "slow down":
                lasts = self._chance.uniform(0.5, 3)
                proxy.lag_seconds = self._chance.uniform(0.005, 0.08)
                self._later(lasts, lambda: setattr(proxy, "lag_seconds", 0.0))
            case _:
                lasts = self._chance.uniform(0.1, 2.5)
                if not proxy.away:
                    proxy.go_away()
                    self._later(lasts, proxy.come_back)
        world.troubles.append(Trouble(member.name, deed, now, now + lasts))


def _invalidate(world: World, number: int) -> None:
    """Remove cache entries, so that their keys are computed again."""
    assert world.server is not None
    wanted = CacheFilter(key_prefix=f"key {number}")
    with Client(world.server.address) as client, contextlib.suppress(grpc.RpcError):
        client.stub.InvalidateCache(InvalidateCacheRequest(filter=wanted), timeout=_CALL_SECONDS)
