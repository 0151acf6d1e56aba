"""Executing the steps of a run one after the other, in the caller's thread or coroutine."""

from __future__ import annotations

from typing import Any

from clearway._execution.effects import Steps
from clearway._waiting.sigint import shield_again
from clearway.states import State


def drive(steps: Steps) -> State[Any]:
    """Execute all steps, blocking this thread, and return the final state."""
    try:
        effect = steps.send(None)
        while True:
            try:
                reply = effect.block()
            except BaseException as error:  # noqa: BLE001 - the steps decide what it means
                shield_again()
                effect = steps.throw(error)
            else:
                effect = steps.send(reply)
    except StopIteration as end:
        state: State[Any] = end.value
        return state
    finally:
        steps.close()  # an interrupt may come between two steps, and must reach the run too


async def drive_async(steps: Steps) -> State[Any]:
    """Execute all steps, awaiting each, and return the final state."""
    try:
        effect = steps.send(None)
        while True:
            try:
                reply = await effect.wait()
            except BaseException as error:  # noqa: BLE001 - the steps decide what it means
                effect = steps.throw(error)
            else:
                effect = steps.send(reply)
    except StopIteration as end:
        state: State[Any] = end.value
        return state
    finally:
        steps.close()


def named(coroutine: Any, name: str) -> Any:
    """Name a coroutine after the flow or task called, for Python's warning that it was never awaited."""
    coroutine.__qualname__ = name
    return coroutine
