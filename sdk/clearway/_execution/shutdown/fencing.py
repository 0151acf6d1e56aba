"""What is done when the service took this process for dead, as after it was suspended past its lease.

The service has ended the runs that it thought dead, and may have given their slots to others. Code of theirs
that still runs here must learn of that at once, and not only when it next proposes something.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

from clearway._base.unsigned import marked
from clearway._transport.lost_runs import when_runs_are_lost
from clearway._transport.protocol import Transport
from clearway._transport.rpcs import GET_FLOW_RUN
from clearway.exceptions import ClearwayError
from clearway.v1 import state_pb2
from clearway.v1.flow_run_pb2 import GetFlowRunRequest

if TYPE_CHECKING:
    import asyncio

_log = logging.getLogger("clearway.engine")

_ASK_SECONDS: Final = 2.0
_UNKNOWN: Final = "lost their lease while this process was not heard of"


class HeldUp(Protocol):
    """A run that may wait for what code on an event loop holds."""

    def held_up_on(self, loop: asyncio.AbstractEventLoop) -> str:
        """Return why it cannot continue while an event loop is blocked; empty if it can."""
        ...


class LiveRun(HeldUp, Protocol):
    """A flow run of this process that is under way.

    Attributes:
        run_id: Its UUID.
        name: Its name, for people.
        transport: The way to the service.
    """

    run_id: str
    name: str
    transport: Transport

    def fence(self, run_ids: frozenset[str]) -> None:
        """Let no task of the run begin any more, if it is one of those that the service has ended."""
        ...

    def lose(self, run_ids: frozenset[str], why: str) -> None:
        """Stop what the service has ended: the flow's own code, or that of task runs."""
        ...

    def needing(self, loop: asyncio.AbstractEventLoop) -> dict[str, str]:
        """Return the names of its task runs that an event loop has to execute or continue, by UUID."""
        ...

    def is_below(self, attempt: object) -> bool:
        """Return whether it is a subflow that was called in an attempt of another flow run."""
        ...


_live: dict[str, LiveRun] = {}


def watch(run: LiveRun) -> None:
    """Have a flow run told what is lost of it."""
    _live[run.run_id] = run


def live_runs() -> list[LiveRun]:
    """Return the flow runs of this process that are under way."""
    return list(_live.values())


def unwatch(run: LiveRun) -> None:
    """Have a flow run told no more."""
    _live.pop(run.run_id, None)


def fence(run_ids: frozenset[str]) -> None:
    """Let no task begin any more of the flow runs that the service has ended."""
    for run in live_runs():
        run.fence(run_ids)


def _on_loss(run_ids: frozenset[str]) -> None:
    fence(run_ids)  # first: what its tasks wait for is asked for again, and may be granted
    from clearway._execution.threads import get_threads  # noqa: PLC0415 - seldom needed

    get_threads().submit(partial(_tell, run_ids))


def _tell(run_ids: frozenset[str]) -> None:
    for run in live_runs():
        try:
            run.lose(run_ids, _why(run))
        except Exception:  # noqa: BLE001 - a flaw of ours, which must not keep the other runs from hearing
            _log.exception("the flow run %r could not be told what it has lost", run.name)


def _why(run: LiveRun) -> str:
    """Return what the service says of the end of a session, or something general where it does not answer."""
    try:
        asked = GET_FLOW_RUN.start(run.transport, GetFlowRunRequest(id=run.run_id), _ASK_SECONDS)
        state = asked.result(2 * _ASK_SECONDS).flow_run.state
    except (ClearwayError, TimeoutError) as error:
        _log.debug("why the flow run %r is lost is not known: %s", run.name, error)
        return _UNKNOWN
    return marked(state.message) if state.type == state_pb2.STATE_TYPE_CRASHED and state.message else _UNKNOWN


when_runs_are_lost(_on_loss)
