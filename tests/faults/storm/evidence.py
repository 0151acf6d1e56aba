"""Evidence: what a storm left behind, as plain data, so that the checker can be tested on its own.

Times are seconds of the machine's monotonic clock, except those of states: wall-clock seconds as the service
wrote them. ``Evidence.wall_offset`` is the difference.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple


class StateRow(NamedTuple):
    """One state of a run's history."""

    id: str
    run: str
    ordinal: int
    type: int
    name: str
    time: float
    scheduled: float | None = None
    key: str = ""
    result: str = ""
    message: str = ""


class RunRow(NamedTuple):
    """A run at the end. ``client`` is the storm's client that created it; empty if unknown."""

    id: str
    kind: str
    state_id: str
    state_type: int
    ordinal: int
    run_count: int
    retries: int
    client: str = ""
    tags: tuple[str, ...] = ()


class AbortRow(NamedTuple):
    """A recorded abort."""

    proposal: str
    run: str
    reason: int
    state_id: str


class Asked(NamedTuple):
    """A proposal, recorded before it was sent; ``run`` is empty if it creates a run."""

    client: str
    proposal: str
    run: str
    type: int
    result: str = ""


class Told(NamedTuple):
    """A final decision, recorded before the client acted on it."""

    client: str
    proposal: str
    run: str
    answer: str
    state: tuple[str, int, str, float]
    result: str = ""
    reason: int = 0


class Body(NamedTuple):
    """One execution of user code; ``ended`` is None if no end was recorded."""

    attempt: str
    run: str
    client: str
    pid: int
    began: float
    ended: float | None
    tags: tuple[str, ...] = ()
    key: str = ""


class Life(NamedTuple):
    """One process of a client; ``killed`` is the time just before a fatal signal was sent, or None."""

    client: str
    pid: int
    began: float
    killed: float | None = None


class Trouble(NamedTuple):
    """A disturbance of a client, or of all if ``client`` is empty. ``ended`` is infinite for a fatal one."""

    client: str
    what: str
    began: float
    ended: float


class Waiting(NamedTuple):
    """A proposal that kept waiting, after the storm, although each tag it needs had a free slot."""

    proposal: str
    run: str
    tags: tuple[str, ...]


@dataclass
class Evidence:
    """Everything that a storm left behind.

    Attributes:
        lease: How long a client may be silent, in seconds.
        wall_offset: What to subtract from wall-clock seconds to get monotonic ones.
        limits: The tags' limits.
        slots: Pairs of tag and run still held after all clients have ended and all leases have expired.
        waiters: Pairs of proposal and run that still wait at that point.
        forgotten: Proposals that waited although they could have run, after everything was resumed.
        flows: The results of flows: job, expected result, and actual one, which is None if it never ended.
        damage: Faults seen while the storm ran, such as a client that ended by itself.
    """

    lease: float = 30.0
    wall_offset: float = 0.0
    states: list[StateRow] = field(default_factory=list)
    runs: list[RunRow] = field(default_factory=list)
    aborts: list[AbortRow] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    bodies: list[Body] = field(default_factory=list)
    lives: list[Life] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)
    limits: dict[str, int] = field(default_factory=dict)
    slots: list[tuple[str, str]] = field(default_factory=list)
    waiters: list[tuple[str, str]] = field(default_factory=list)
    forgotten: list[Waiting] = field(default_factory=list)
    flows: list[tuple[str, str, str | None]] = field(default_factory=list)
    damage: list[str] = field(default_factory=list)
