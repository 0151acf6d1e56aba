"""Where a client process works: its record, the log of all bodies, and the sign that it is enough."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from faults.storm.records import Record, read_record

TAGS = {"storm-1": 1, "storm-2": 2, "storm-4": 4}
"""The limited tags and their limits."""

_HEARTBEAT_SECONDS = 0.25


class Job(NamedTuple):
    """One run to be brought to its end, or one flow.

    Attributes:
        number: Its number among the client's jobs.
        tags: Of its run.
        key: Its cache key; empty for none.
        seconds: How long its body takes.
        failures: How many attempts fail before one completes.
    """

    number: int
    tags: tuple[str, ...]
    key: str
    seconds: float
    failures: int


@dataclass
class Place:
    """What all clients share.

    Args:
        folder: The storm's.
        name: The client's.
        seed: Decides what its jobs are like.
    """

    folder: Path
    name: str
    seed: int

    def __post_init__(self) -> None:
        self.record = Record(self.folder / f"client-{self.name}.jsonl", self.name)
        self.bodies = Record(self.folder / "bodies.jsonl", self.name)
        threading.Thread(target=self._beat, daemon=True).start()
        threading.Thread(target=_end_with_parent, daemon=True).start()

    def _beat(self) -> None:
        """Show that this process gets time from the machine, whether or not the storm stopped it."""
        while True:
            self.record.write(durable=False, alive=True)
            time.sleep(_HEARTBEAT_SECONDS)

    @property
    def enough(self) -> bool:
        """Whether no new job is to be begun."""
        return (self.folder / "enough").exists()

    def jobs(self) -> Iterator[Job]:
        """Yield the jobs that a predecessor left undone, then new ones."""
        begun, done = -1, set()
        undone = []
        for line in read_record(self.folder / f"client-{self.name}.jsonl"):
            if "done" in line:
                done.add(line["done"])
            elif "job" in line and line["job"] not in undone:
                undone.append(line["job"])
                begun = max(begun, line["job"])
        yield from (self._job(number) for number in undone if number not in done)
        while not self.enough:
            begun += 1
            yield self._job(begun)

    def _job(self, number: int) -> Job:
        chance = random.Random(f"{self.seed} {self.name} {number}")
        tags = tuple(sorted(chance.sample(list(TAGS), chance.choice([0, 1, 1, 1, 2]))))
        # A key belongs to a few numbers, so that clients meet in it.
        key = f"key {number // 8} {chance.randrange(3)}" if chance.random() < 0.3 else ""
        seconds = chance.choice([0.0, 0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.3])
        return Job(number, tags, key, seconds, chance.choice([0, 0, 0, 0, 1, 2, 4]))


def _end_with_parent() -> None:
    """End this process when the storm that started it is gone: nothing else would."""
    while os.read(0, 1):
        pass
    os._exit(3)
