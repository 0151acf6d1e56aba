"""A state as it stands in a run's history: what all that handles states needs to know of one."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from clearway._base.clock import now
from clearway._base.named_number import NamedNumber


class StateType(NamedNumber):
    """What the service reasons about; a state's name is for people. The numbers are the protocol's."""

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
        """The name of a state of this type that was given none."""
        return _DEFAULT_NAMES[self]


# By number: an enum's hash is computed in Python, and states are made twice for each task.
_DEFAULT_NAMES = ("", *(kind.name.capitalize() for kind in StateType))


@dataclass(frozen=True, slots=True)
class StateDetails:
    """The facts that the service's rules decide by.

    Attributes:
        scheduled_time: When a Scheduled run may begin.
        cache_key: Under which key the run's result is found by others; empty for a run that is not cached.
        cache_expiration: How long the cache entry is served; None for ever.
        flow_run_id: The flow run that the state's run belongs to, or is. Set by the service.
        task_run_id: The task run that the state belongs to; empty in a flow run's states. Set by the service.
        child_flow_run_id: The subflow's run, in the states of the task run that tracks it. Set by the
            service.
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
    """One entry of a run's history; see ``clearway.states.State``, which all of them are."""

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
        """Return whether the run ended well."""
        return self.type is StateType.COMPLETED

    def is_failed(self) -> bool:
        """Return whether the run's code failed, with no retry left."""
        return self.type is StateType.FAILED

    def is_crashed(self) -> bool:
        """Return whether the run was stopped by its surroundings."""
        return self.type is StateType.CRASHED

    def is_cancelled(self) -> bool:
        """Return whether the run was stopped on purpose."""
        return self.type is StateType.CANCELLED

    def is_running(self) -> bool:
        """Return whether the run's code runs."""
        return self.type is StateType.RUNNING

    def is_pending(self) -> bool:
        """Return whether the run waits for what it needs."""
        return self.type is StateType.PENDING

    def is_scheduled(self) -> bool:
        """Return whether the run is to begin at a later time."""
        return self.type is StateType.SCHEDULED

    def is_final(self) -> bool:
        """Return whether the run has ended, in whatever way."""
        return self.type >= StateType.COMPLETED

    def __repr__(self) -> str:
        """Return what ``str`` does: the rest is in the attributes."""
        return str(self)

    def __str__(self) -> str:
        """Return the name with the type and the message, as in ``Cached(COMPLETED)``."""
        kind = "" if self.name == _DEFAULT_NAMES[self.type] else self.type.name
        return f"{self.name}({', '.join(filter(None, (kind, repr(self.message) if self.message else '')))})"
