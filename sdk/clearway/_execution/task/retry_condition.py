"""Asking a task's own function whether a failed run is to be tried again."""

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
    """Ask the task's ``retry_condition_fn`` about a failure; whether to try again comes of it.

    It is not asked where no retry is left. What it raises is logged, and then the run is not tried again.

    Attributes:
        condition: The function.
    """

    condition: Callable[..., Any]

    def block(self) -> bool:
        """Ask in this thread."""
        run = self.known()
        if _is_last(run):
            return True
        try:
            return bool(self.call(self.condition, run))
        except Exception:  # noqa: BLE001 - the user's
            return self._no_answer()

    async def wait(self) -> bool:
        """Ask in another thread, or here where the function is async."""
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
