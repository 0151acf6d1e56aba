"""The data of a state: its type, name, details and other facts."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from clearway._base.clock import now
from clearway._base.named_number import NamedNumber


class StateType(NamedNumber):
    """The type of a state, which the service's rules are about. The numbers are those of the protocol."""

    __module__ = "clearway.states"

    SCHEDULED = 1
    PENDING = 2
    RUNNING = 3
    COMPLETED = 4
    FAILED = 5
    CANCELLED = 6
    CRASHED = 7

    @property
    def default_name(self) -> str:
        """The name of a state of this type if no other name is given."""
        return _DEFAULT_NAMES[self]


# A tuple indexed by number, because hashing an enum member is slow and each task creates two states.
_DEFAULT_NAMES = ("", *(kind.name.capitalize() for kind in StateType))


@dataclass(frozen=True, slots=True)
class StateDetails:
    """Further facts about a state.

    Attributes:
        scheduled_time: When a Scheduled run may start; None in other states.
        cache_key: The key under which the run's result is cached; empty if it is not cached.
        cache_expiration: How long the cache entry is valid; None means that it never expires.
        flow_run_id: The UUID of the run's flow run, or of the flow run itself. Set by the service.
        task_run_id: The UUID of the task run; empty in a flow run's states. Set by the service.
        child_flow_run_id: The UUID of the subflow's run, in the states of the task run that tracks it; empty
            otherwise. Set by the service.
    """

    scheduled_time: datetime | None = None
    cache_key: str = ""
    cache_expiration: timedelta | None = None
    flow_run_id: str = ""
    task_run_id: str = ""
    child_flow_run_id: str = ""


StateDetails.__module__ = "clearway.states"

NO_DETAILS = StateDetails()


@dataclass(frozen=True, slots=True)
class StateRecord:
    """One entry of a run's history; the base of ``clearway.states.State``, which documents the fields."""

    type: StateType
    name: str = ""
    message: str = ""
    data: Any = field(default=None, compare=False)
    timestamp: datetime = field(default_factory=now)
    id: str = ""
    details: StateDetails = NO_DETAILS
    error_kind: int = field(default=0, compare=False)

    def __post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", _DEFAULT_NAMES[self.type])

    def is_completed(self) -> bool:
        """Return True if the run completed."""
        return self.type is StateType.COMPLETED

    def is_failed(self) -> bool:
        """Return True if the run's code failed, with no retry left."""
        return self.type is StateType.FAILED

    def is_crashed(self) -> bool:
        """Return True if the run was cut short from outside, as when its process died."""
        return self.type is StateType.CRASHED

    def is_cancelled(self) -> bool:
        """Return True if the run was cancelled."""
        return self.type is StateType.CANCELLED

    def is_running(self) -> bool:
        """Return True if the run's code is being executed."""
        return self.type is StateType.RUNNING

    def is_pending(self) -> bool:
        """Return True if the run is waiting to start, for example for its inputs."""
        return self.type is StateType.PENDING

    def is_scheduled(self) -> bool:
        """Return True if the run is due to start, or to be retried, at a later time."""
        return self.type is StateType.SCHEDULED

    def is_final(self) -> bool:
        """Return True if the run has ended: completed, failed, cancelled or crashed."""
        return self.type >= StateType.COMPLETED

    def __repr__(self) -> str:
        """Return the same as ``str``."""
        return str(self)

    def __str__(self) -> str:
        """Return the name, the type if it differs and the message if any, as in ``Cached(COMPLETED)``."""
        kind = "" if self.name == _DEFAULT_NAMES[self.type] else self.type.name
        return f"{self.name}({', '.join(filter(None, (kind, repr(self.message) if self.message else '')))})"
