"""From the transport's threads to a user's event loop."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from typing import Any

import pytest

from clearway._waiting.loop_calls import call_soon, set_once


def call_many(loop: asyncio.AbstractEventLoop, *calls: Any) -> None:
    """Call from another thread, and return when all were handed over."""
    thread = threading.Thread(target=lambda: [call_soon(loop, *call) for call in calls])
    thread.start()
    thread.join()


async def test_calls_are_made_in_order() -> None:
    loop = asyncio.get_running_loop()
    called: list[int] = []
    last = loop.create_future()
    call_many(loop, *((called.append, number) for number in range(100)), (set_once, last))
    await last
    assert called == list(range(100))


async def test_those_that_come_together_wake_the_loop_once(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    woken: list[object] = []
    wake = loop.call_soon_threadsafe

    def counted(*args: Any) -> Any:
        woken.append(args)
        return wake(*args)

    monkeypatch.setattr(loop, "call_soon_threadsafe", counted)
    for _ in range(2):
        last = loop.create_future()
        call_many(loop, *[(str,)] * 100, (set_once, last))
        await last
    assert len(woken) == 2


async def test_what_a_call_raises_is_the_loops_and_the_others_are_made() -> None:
    loop = asyncio.get_running_loop()
    reported: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _loop, context: reported.append(context))
    last = loop.create_future()
    call_many(loop, (int, "no number"), (set_once, last))
    await last
    assert [type(context["exception"]) for context in reported] == [ValueError]


async def test_a_call_may_make_another() -> None:
    loop = asyncio.get_running_loop()
    last = loop.create_future()
    call_many(loop, (call_soon, loop, set_once, last))
    await last


def test_a_loop_that_is_closed_is_left_alone() -> None:
    loop = asyncio.new_event_loop()
    loop.close()
    call_soon(loop, str)
    call_soon(loop, str)


def test_a_loop_that_was_closed_with_calls_under_way_is_let_go_of_at_the_next_one() -> None:
    loop = asyncio.new_event_loop()
    waiter = loop.create_future()
    call_soon(loop, set_once, waiter)  # the loop is closed before it comes to that
    loop.close()
    call_soon(loop, set_once, waiter)
    gone = weakref.ref(loop)
    del loop, waiter
    gc.collect()
    assert gone() is None
