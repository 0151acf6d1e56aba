"""Tables of slot holders and waiters, for people."""

from collections.abc import Sequence

from google.protobuf.timestamp_pb2 import Timestamp
from rich.text import Text

from clearway.v1.concurrency_limit_pb2 import SlotHolder, SlotWaiter
from clearway_cli import _output, _runs, _tables, _times
from clearway_cli._tables import Column

_HOLDERS = (
    Column("TASK RUN", ids=True),
    Column("NAME", crop_to=12),
    Column("CLIENT", crop_to=14),
    Column("HELD"),
    Column("LEASE"),
    Column("FLOW", crop_to=12, optional=True),
    Column("FLOW RUN", crop_to=12, optional=True),
)
_WAITERS = (
    Column("PLACE"),
    Column("TASK RUN", ids=True),
    Column("NAME", crop_to=12),
    Column("CLIENT", crop_to=14),
    Column("WAITED"),
    Column("FLOW", crop_to=12, optional=True),
    Column("FLOW RUN", crop_to=12, optional=True),
)
_CELLS = 10


def show_holders(title: str, holders: Sequence[SlotHolder], now: Timestamp) -> None:
    """Write the holders of slots, the longest-holding first; nothing if there are none."""
    if holders:
        _show_title(title)
        _tables.show(_HOLDERS, [_holder_row(holder, now) for holder in holders])


def show_waiters(title: str, waiters: Sequence[SlotWaiter], now: Timestamp) -> None:
    """Write the waiters for a slot, the next one first; nothing if there are none."""
    if waiters:
        _show_title(title)
        _tables.show(_WAITERS, [_waiter_row(waiter, now) for waiter in waiters])


def bar(used: int, limit: int) -> Text:
    """Return how full a limit is, as a bar; in ASCII unless it goes to a terminal.

    It is full only if no slot is free, and empty only if none is held. A limit of 0 is ``closed``.
    """
    if not limit:
        return Text("closed", style="red")
    cells = _CELLS if used >= limit else min(_CELLS - 1, max(min(used, 1), round(_CELLS * used / limit)))
    style = "yellow" if used >= limit else "green"
    if not _output.draws():
        return Text(f"[{'#' * cells}{'.' * (_CELLS - cells)}]", style=style)
    return Text("█" * cells, style=style).append("░" * (_CELLS - cells), style="bright_black")


def counted(slots: int) -> str:
    """Return a number of slots in words: ``1 slot``, ``3 slots``."""
    return f"{slots:,} slot{'' if slots == 1 else 's'}"


def client_text(name: str) -> Text:
    """Return the name of the client whose session holds or requests a slot."""
    return _runs.text(name or "no session")


def lease_text(holder: SlotHolder, now: Timestamp) -> Text:
    """Return what is left of a slot's lease; a run without a session has none."""
    if not holder.HasField("lease_expire_time"):
        return Text("none")
    left = _times.seconds_between(now, holder.lease_expire_time)
    return Text(_times.age(now, holder.lease_expire_time)) if left > 0 else Text("expired", style="red")


def _show_title(title: str) -> None:
    _output.write("\n")
    _output.show(Text(title, style="bold"))


def _holder_row(holder: SlotHolder, now: Timestamp) -> list[Text]:
    return [
        Text(holder.task_run_id),
        _runs.text(holder.task_run_name),
        client_text(holder.client_name),
        Text(_times.age(holder.acquire_time, now)),
        lease_text(holder, now),
        _runs.text(holder.flow_name),
        _runs.text(holder.flow_run_name),
    ]


def _waiter_row(waiter: SlotWaiter, now: Timestamp) -> list[Text]:
    return [
        Text(str(waiter.position)),
        Text(waiter.task_run_id),
        _runs.text(waiter.task_run_name),
        client_text(waiter.client_name),
        Text(_times.age(waiter.enqueue_time, now)),
        _runs.text(waiter.flow_name),
        _runs.text(waiter.flow_run_name),
    ]
