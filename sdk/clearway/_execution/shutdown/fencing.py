"""Stopping the runs of a process whose session was lost, as after it was suspended past its lease.

The service has crashed those runs and may have given their slots to others. Their code must be stopped here
at once, not only when it next makes a proposal.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

from clearway._base.spans import span
from clearway._base.unsigned import marked
from clearway._transport.lost_runs import when_runs_are_lost
from clearway._transport.outage import recent_outage
from clearway._transport.protocol import Transport
from clearway._transport.rpcs import GET_FLOW_RUN
from clearway.exceptions import ClearwayError
from clearway.v1 import state_pb2
from clearway.v1.flow_run_pb2 import GetFlowRunRequest

if TYPE_CHECKING:
    import asyncio

_log = logging.getLogger("clearway.engine")

_ASK_SECONDS: Final = 2.0
_UNKNOWN: Final = "lost their lease after the service received no heartbeats from this process"


class HeldUp(Protocol):
    """A run that may wait for what code on an event loop holds."""

    def held_up_on(self, loop: asyncio.AbstractEventLoop) -> str:
        """Return why it cannot continue while an event loop is blocked; empty if it can."""
        ...


class LiveRun(HeldUp, Protocol):
    """A flow run of this process that has not ended.

    Attributes:
        run_id: Its UUID.
        name: Its name, for people.
        transport: Its transport to the service.
    """

    run_id: str
    name: str
    transport: Transport

    def fence(self, run_ids: frozenset[str]) -> None:
        """Start no more tasks of the run, if the service has ended it."""
        ...

    def lose(self, run_ids: frozenset[str], why: str) -> None:
        """Stop what the service has ended: the flow's own code, or task runs."""
        ...

    def needing(self, loop: asyncio.AbstractEventLoop) -> dict[str, str]:
        """Return the names of its task runs that an event loop has to execute or continue, by UUID."""
        ...

    def is_below(self, attempt: object) -> bool:
        """Return whether it is a subflow that was called in an attempt of another flow run."""
        ...


_live: dict[str, LiveRun] = {}


def watch(run: LiveRun) -> None:
    """Register a flow run to be notified when its runs are lost."""
    _live[run.run_id] = run


def live_runs() -> list[LiveRun]:
    """Return the flow runs of this process that are under way."""
    return list(_live.values())


def unwatch(run: LiveRun) -> None:
    """Unregister a flow run."""
    _live.pop(run.run_id, None)


def fence(run_ids: frozenset[str]) -> None:
    """Start no more tasks of the flow runs that the service has ended."""
    for run in live_runs():
        run.fence(run_ids)


def _on_loss(run_ids: frozenset[str]) -> None:
    fence(run_ids)  # first: slots that its tasks wait for are requested again, and may be granted
    from clearway._execution.threads import get_threads  # noqa: PLC0415 - seldom needed

    get_threads().submit(partial(_tell, run_ids))


def _tell(run_ids: frozenset[str]) -> None:
    for run in live_runs():
        try:
            run.lose(run_ids, _why(run))
        except Exception:  # noqa: BLE001 - a bug of ours, which must not keep the other runs from stopping
            _log.exception("the flow run %r could not be stopped after the service ended its runs", run.name)


def _why(run: LiveRun) -> str:
    """Return why the session ended: the service's reason, or the server's own outage."""
    away = recent_outage()
    if away is not None:
        return (
            f"were ended by the server, which could not be reached for {span(away)}, longer than their lease"
        )
    try:
        asked = GET_FLOW_RUN.start(run.transport, GetFlowRunRequest(id=run.run_id), _ASK_SECONDS)
        state = asked.result(2 * _ASK_SECONDS).flow_run.state
    except (ClearwayError, TimeoutError) as error:
        _log.debug("why the flow run %r is lost is not known: %s", run.name, error)
        return _UNKNOWN
    return marked(state.message) if state.type == state_pb2.STATE_TYPE_CRASHED and state.message else _UNKNOWN


when_runs_are_lost(_on_loss)
