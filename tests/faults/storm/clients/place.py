"""The environment of a client process: its record, the log of all bodies, and the signal to stop."""

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
    """One run or flow to complete.

    Attributes:
        number: Its number among the client's jobs.
        tags: The tags of its run.
        key: Its cache key; empty for none.
        seconds: The duration of its body.
        failures: How many attempts fail before one completes.
    """

    number: int
    tags: tuple[str, ...]
    key: str
    seconds: float
    failures: int


@dataclass
class Place:
    """The environment of one client.

    Args:
        folder: The storm's folder.
        name: The client's name.
        seed: Determines its jobs.
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
        """Record regularly that this process gets CPU time, to tell stalls of the machine from deeds."""
        while True:
            self.record.write(durable=False, alive=True)
            time.sleep(_HEARTBEAT_SECONDS)

    @property
    def enough(self) -> bool:
        """Whether no new job may be started."""
        return (self.folder / "enough").exists()

    def jobs(self) -> Iterator[Job]:
        """Yield the unfinished jobs of a predecessor, then new ones."""
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
        # A few numbers share a key, so that clients compete for it.
        key = f"key {number // 8} {chance.randrange(3)}" if chance.random() < 0.3 else ""
        seconds = chance.choice([0.0, 0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.3])
        return Job(number, tags, key, seconds, chance.choice([0, 0, 0, 0, 1, 2, 4]))


def _end_with_parent() -> None:
    """End this process when the storm that started it is gone."""
    while os.read(0, 1):
        pass
    os._exit(3)
