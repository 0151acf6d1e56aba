"""What the attempts of one flow run share, so that a retry runs again only what did not complete."""

from __future__ import annotations

from typing import Any

from clearway._base.ids import new_id
from clearway._results.stored_result import MEMORY
from clearway.results import StoredResult
from clearway.states import State


class Replay:
    """The runs that the attempts of a flow run had, and their results where the service has none."""

    __slots__ = ("_ids", "_results")

    def __init__(self) -> None:
        self._ids: dict[str, str] = {}
        self._results: dict[str, Any] = {}

    def run_id(self, task_key: str, dynamic_key: str) -> str:
        """Return the id of a run: that of an earlier attempt with the same keys, or a new one."""
        key = f"{task_key}/{dynamic_key}"
        return self._ids.get(key) or self._ids.setdefault(key, new_id())

    def keep(self, task_run_id: str, result: Any) -> None:
        """Keep a result that is in memory only."""
        self._results[task_run_id] = result

    def with_result(self, state: State[Any]) -> State[Any]:
        """Return the state of a run that an earlier attempt completed, with its result if it was kept."""
        data, run_id = state.data, state.details.task_run_id
        if isinstance(data, StoredResult) and data.encoding == MEMORY and run_id in self._results:
            return state.with_data(self._results[run_id])
        return state
