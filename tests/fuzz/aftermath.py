"""The aftermath: checks the server's final state."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from fuzz.calls import SERVICE, UNARY
from fuzz.hoard import HOARD_TAG
from fuzz.oracle import Findings
from fuzz.pool import Pool
from fuzz.values import TAGS

_SECONDS = 60.0
_MOST_PAGES = 20_000
_SAMPLE = 25
_POLL_SECONDS = 0.25
_LEFT = """
    SELECT 'slot', slot.tag, slot.task_run_id, task_run.session_id FROM slot
    LEFT JOIN task_run ON task_run.id = slot.task_run_id
    WHERE task_run.id IS NULL OR task_run.state_type != 3 OR task_run.session_id != ''
    UNION ALL SELECT 'waiter', blocking_tag, task_run_id, session_id FROM waiter
"""


def check_slots(database: Path, seconds: float, findings: Findings) -> None:
    """Check that, ``seconds`` after the last session, no session's run holds a slot and nothing waits.

    Runs started without a session are excluded, since they hold their slots until they end.
    """
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.closing(sqlite3.connect(database, timeout=30)) as connection:
            left = connection.execute(_LEFT).fetchall()
        if not left:
            return
        if time.monotonic() > deadline:
            findings.add("slots and waiters of sessions that are gone", f"{left[:5]} of {len(left)}")
            return
        time.sleep(_POLL_SECONDS)


def check_integrity(database: Path, findings: Findings) -> None:
    """Check the integrity of the database."""
    with contextlib.closing(sqlite3.connect(database, timeout=30)) as connection:
        checked = connection.execute("PRAGMA integrity_check").fetchall()
    if checked != [("ok",)]:
        findings.add("the database is damaged", f"{checked[:3]}")


def check_lists(channel: grpc.Channel, pool: Pool, findings: Findings) -> int:
    """Check that each list RPC reaches its last page; return the number of pages."""
    pages = 0
    for method in UNARY:
        fields = method.input_type.fields_by_name
        if "page_token" not in fields or "next_page_token" not in method.output_type.fields_by_name:
            continue
        for request in _requests(method, pool):
            pages += _page_through(channel, method, request, findings)
    return pages


def _requests(method: MethodDescriptor, pool: Pool) -> Iterator[Message]:
    """Yield requests that list everything, and requests for some known runs."""
    make = GetMessageClass(method.input_type)
    yield make()
    for name, values in _subjects(pool).items():
        if name in method.input_type.fields_by_name:
            for value in values:
                yield make(**{name: value})


def _subjects(pool: Pool) -> dict[str, list[str]]:
    """Return some known ids, by the names of the fields that select what to list."""
    runs = {f"{kind}_id": pool.known(kind)[:_SAMPLE] for kind in ("flow_run", "task_run")}
    return {**runs, "tag": [*TAGS, HOARD_TAG]}


def _page_through(
    channel: grpc.Channel, method: MethodDescriptor, request: Message, findings: Findings
) -> int:
    call = channel.unary_unary(f"/{SERVICE.full_name}/{method.name}")
    asked, pages, tokens = request.SerializeToString(), 0, {""}
    may_be_refused = any(
        name in method.input_type.fields_by_name for name in ("flow_run_id", "task_run_id", "tag")
    )
    if "page_size" in method.input_type.fields_by_name:
        request.page_size = 1_000  # type: ignore[attr-defined]
    while pages < _MOST_PAGES:
        try:
            body = call(request.SerializeToString(), timeout=_SECONDS)
        except grpc.RpcError as error:
            refused = (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND)
            if not (may_be_refused and pages == 0 and error.code() in refused):  # type: ignore[attr-defined]
                findings.add(f"{method.name}: page {pages + 1} cannot be had", f"{asked.hex()}: {error}")
            return pages
        pages += 1
        token = GetMessageClass(method.output_type).FromString(body).next_page_token  # type: ignore[attr-defined]
        if not token:
            return pages
        if token in tokens:
            findings.add(f"{method.name}: its pages go in a circle", f"{asked.hex()}: {token}")
            return pages
        tokens.add(token)
        request.page_token = token  # type: ignore[attr-defined]
    findings.add(f"{method.name}: more than {_MOST_PAGES:,} pages", asked.hex())
    return pages
