"""Calling a task's ``retry_condition_fn`` after a failure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from clearway._execution.hooks import CallHooks

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from clearway.schemas import TaskRun


@dataclass(slots=True)
class AskCondition(CallHooks):
    """Call the task's ``retry_condition_fn``; the reply is whether to retry.

    It is not called when no retry is left. If it raises, the exception is logged and the run is not retried.

    Attributes:
        condition: The function.
    """

    condition: Callable[..., Any]

    def block(self) -> bool:
        """Call it in this thread."""
        run = self.known()
        if _is_last(run):
            return True
        try:
            return bool(self.call(self.condition, run))
        except Exception:  # noqa: BLE001 - the user's
            return self._no_answer()

    async def wait(self) -> bool:
        """Call it in another thread, or here if it is async."""
        run = await self.known_async()
        if _is_last(run):
            return True
        try:
            return bool(await self.call_async(self.condition, run))
        except Exception:  # noqa: BLE001 - the user's
            return self._no_answer()

    def _no_answer(self) -> bool:
        self.log().exception("its retry_condition_fn raised an exception, so it is not tried again")
        return False


def _is_last(run: TaskRun) -> bool:
    return run.run_count > run.retries
