"""A fuzz run from the first message to the verdict."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from fuzz.aftermath import check_integrity, check_lists, check_slots
from fuzz.calls import Caller, open_channel
from fuzz.canary import Canary
from fuzz.errand import Errand
from fuzz.hoard import Hoard
from fuzz.house import LEASE_SECONDS, House
from fuzz.messages import Maker
from fuzz.oracle import Findings, Oracle, Sent
from fuzz.pool import Pool
from fuzz.streams import Streamer
from fuzz.values import Values

_CALLERS = 3
_STREAM_SHARE = 0.25
_LOOK_SECONDS = 1.0
_REMEMBERED = 8
_SLOT_SECONDS = 15.0


@dataclass
class Verdict:
    """The outcome of a fuzz run."""

    seed: int
    messages: int
    seconds: float
    statuses: Counter[str]
    findings: Findings
    rounds: int
    pages: int
    peak: int

    @property
    def violations(self) -> int:
        """The number of violations."""
        return self.findings.counts.total()

    def summary(self) -> str:
        """Return a human-readable summary."""
        statuses = ", ".join(f"{count:,} {name}" for name, count in self.statuses.most_common())
        return "\n".join(
            [
                f"{self.messages:,} messages in {self.seconds:.0f} s with seed {self.seed}: {statuses}",
                f"{self.rounds} canary flows, {self.pages:,} list pages, {self.violations:,} violations",
                f"the server's memory: {self.peak / 2**20:.0f} MiB at most",
                *self.findings.lines(),
            ]
        )


@dataclass
class _Shared:
    """The state shared by the fuzzers."""

    house: House
    oracle: Oracle
    pool: Pool = field(default_factory=Pool)
    stop: threading.Event = field(default_factory=threading.Event)
    recent: dict[str, deque[Sent]] = field(default_factory=dict)

    def last(self) -> str:
        """Return the messages sent last by each fuzzer."""
        sent = [each for recent in list(self.recent.values()) for each in list(recent)]
        return "\n".join(f"  last: {each}"[:3_000] for each in sent)


def run_fuzz(folder: Path, messages: int, seed: int, *, errands: bool = True) -> Verdict:
    """Send messages to a server, and return the verdict. The server is stopped in any case.

    Args:
        folder: An empty folder; nothing outside of its ``server`` folder may change.
        messages: The total number of messages, on streams and in calls.
        seed: The random seed.
        errands: Whether to start with the calls that lead to the deletion of results.
    """
    findings = Findings()
    began = time.monotonic()
    with House(folder, findings) as house:
        oracle = Oracle(findings)
        shared = _Shared(house, oracle)
        with Canary(house.address, shared.pool, findings) as canary:
            sent = Hoard(house.address, shared.pool, findings).check()
            sent += _run_errands(shared, seed) if errands else 0
            sent += _run_fuzzers(shared, messages, seed)
            if not shared.stop.is_set():
                canary.stop()
                canary.check()
        took, pages = time.monotonic() - began, 0
        if house.look(shared.last()):
            with open_channel(house.address) as channel:
                pages = check_lists(channel, shared.pool, findings)
            check_slots(house.server.database, LEASE_SECONDS + _SLOT_SECONDS, findings)
            house.look()
            peak = house.peak()
            if (code := house.server.stop()) != 0:
                findings.add("the server's exit code", f"{code} when it was told to stop")
        else:
            peak = 0
        check_integrity(house.server.database, findings)
    return Verdict(seed, sent, took, oracle.statuses, findings, canary.rounds, pages, peak)


def _run_errands(shared: _Shared, seed: int) -> int:
    chance, sent = Random(f"{seed} errands"), 0
    recent = shared.recent["errands"] = deque(maxlen=_REMEMBERED)
    with open_channel(shared.house.address) as channel:
        values = Values(chance, shared.pool, shared.house.paths)
        errand = Errand(Caller(channel, Maker(values), shared.oracle, shared.pool), chance)
        for number, path in enumerate(shared.house.paths):
            if shared.stop.is_set():
                break
            sent += errand.run(path, f"errand {number} ({path!r})", recent.append)
            # After each errand, so that a violation is reported with its cause.
            if not shared.house.look(shared.last()):
                shared.stop.set()
    del shared.recent["errands"]
    return sent


def _run_fuzzers(shared: _Shared, messages: int, seed: int) -> int:
    streamed = int(messages * _STREAM_SHARE)
    each = (messages - streamed) // _CALLERS
    with ThreadPoolExecutor(_CALLERS + 1) as pool:
        running = [pool.submit(_call, shared, seed, f"caller-{number}", each) for number in range(_CALLERS)]
        running.append(pool.submit(_stream, shared, seed, "streamer", streamed))
        try:
            while not all(future.done() for future in running):
                time.sleep(_LOOK_SECONDS)
                if not shared.house.look(shared.last()):
                    shared.stop.set()
        finally:
            if not all(future.done() for future in running):
                shared.stop.set()
        return sum(future.result() for future in running)


def _call(shared: _Shared, seed: int, name: str, count: int) -> int:
    chance, recent = Random(f"{seed} {name}"), deque[Sent](maxlen=_REMEMBERED)
    shared.recent[name] = recent
    with open_channel(shared.house.address) as channel:
        maker = Maker(Values(chance, shared.pool, shared.house.paths))
        caller = Caller(channel, maker, shared.oracle, shared.pool)
        for number in range(count):
            if shared.stop.is_set():
                return number
            caller.send_one(f"{name} {number}", chance, recent.append)
    return count


def _stream(shared: _Shared, seed: int, name: str, count: int) -> int:
    chance, recent = Random(f"{seed} {name}"), deque[Sent](maxlen=_REMEMBERED)
    shared.recent[name] = recent
    sent = 0
    with open_channel(shared.house.address) as channel:
        maker = Maker(Values(chance, shared.pool, shared.house.paths))
        streamer = Streamer(channel, maker, shared.oracle, shared.pool, chance)
        while sent < count and not shared.stop.is_set():
            sent += streamer.send_some(f"{name} {sent}", recent.append)
    return sent
