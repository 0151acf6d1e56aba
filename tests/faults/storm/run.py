"""A storm from its start to the checker's verdict."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from random import Random

from faults.storm.checker import Violation, check
from faults.storm.deeds import Storm
from faults.storm.evidence import Evidence
from faults.storm.gathering import gather
from faults.storm.herd import Member
from faults.storm.world import World, await_quiet, embedded_world, find_forgotten, served_world

_KINDS: dict[str, Callable[[Path, int, ExitStack], World]] = {
    "served": served_world,
    "embedded": embedded_world,
}
KINDS = tuple(_KINDS)

_FINISH_SECONDS = 60.0
_CALM_SECONDS = 2.0
_LAST_SECONDS = 30.0
_MOST_BYTES = 2 * 1024**3
_STEP_SECONDS = 15.0


@dataclass
class Outcome:
    """The outcome of a storm.

    Attributes:
        seed: The random seed.
        seconds: The duration of the storm.
        violations: The violations found by the checker.
        deeds: The number of deeds of each kind.
        figures: Counts from the evidence.
        worlds: The disturbed worlds; their processes have ended, but their files exist.
    """

    seed: int
    seconds: float
    violations: list[Violation]
    deeds: Counter[str]
    figures: Counter[str]
    worlds: list[World]

    def summary(self) -> str:
        """Return a human-readable summary."""
        deeds = ", ".join(f"{count} {deed}" for deed, count in sorted(self.deeds.items()))
        figures = ", ".join(f"{count:,} {what}" for what, count in self.figures.items())
        lines = [
            f"storm of {self.seconds:.0f} s with seed {self.seed}: {self.deeds.total()} deeds ({deeds})",
            f"{figures}, {len(self.violations)} violations",
            *(f"VIOLATION {str(violation)[:2000]}" for violation in self.violations[:40]),
        ]
        if len(self.violations) > 40:
            rules = Counter(violation.rule for violation in self.violations)
            lines.append(f"... in all: {dict(rules)}")
        return "\n".join(lines)


def run_storm(folder: Path, seconds: float, seed: int, kinds: tuple[str, ...] = KINDS) -> Outcome:
    """Run a storm, and return its outcome. All its processes are ended in any case.

    Args:
        folder: An empty folder for databases and records; nothing is written elsewhere.
        seconds: The duration of the storm; ending it takes up to about 2 minutes more.
        seed: Determines which deeds hit which processes.
        kinds: The kinds of worlds to disturb.
    """
    chance = Random(seed)
    began = time.monotonic()
    with ExitStack() as stack:
        worlds = [_KINDS[kind](folder / kind, seed, stack) for kind in kinds]
        storm = Storm(worlds, chance)
        while (left := seconds - (time.monotonic() - began)) > 0:
            storm.rage(min(left, _STEP_SECONDS))
            if sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) > _MOST_BYTES:
                break
        raged = time.monotonic() - began
        evidence = [_end(world) for world in worlds]
    violations = [violation for each in evidence for violation in check(each)]
    deeds: Counter[str] = Counter()
    figures: Counter[str] = Counter()
    for world, each in zip(worlds, evidence, strict=True):
        deeds += world.deeds
        figures += _figures(each)
    return Outcome(seed, raged, violations, deeds, figures, worlds)


def _end(world: World) -> Evidence:
    """Resume everything, let it end, and return what is left."""
    time.sleep(_CALM_SECONDS)
    forgotten = find_forgotten(world.database)
    (world.folder / "enough").touch()
    world.herd.await_ends(_FINISH_SECONDS)
    if world.server is None:
        # In an embedded world, an engine is needed to notice dead clients: one more client runs a flow.
        (world.folder / "enough").unlink()
        command = ["faults.storm.clients.last", str(world.folder), "last", "0"]
        last = Member("last", command, {"CLEARWAY_HOME": str(world.database.parent)})
        world.herd.add(last)
        world.herd.await_ends(_LAST_SECONDS)
    else:
        await_quiet(world.database, world.lease + _LAST_SECONDS)
        if (code := world.server.stop()) != 0:
            world.herd.damage.append(f"the server ended with code {code} when it was told to stop")
    evidence = gather(world)
    evidence.forgotten = forgotten
    return evidence


def _figures(evidence: Evidence) -> Counter[str]:
    return Counter(
        {
            "processes": len(evidence.lives),
            "decisions told": len(evidence.told),
            "runs": len(evidence.runs),
            "states": len(evidence.states),
            "bodies": len(evidence.bodies),
            "flows": len(evidence.flows),
            "crashed runs": sum(run.state_type == 7 for run in evidence.runs),
            "cached runs": sum(state.name == "Cached" for state in evidence.states),
        }
    )
