"""The options of flows and tasks for storing results: whether, and where."""

from __future__ import annotations

import os
from typing import NamedTuple, TypeAlias

from clearway._definition.option_checks import checked_choice
from clearway._settings.paths import checked_place

ResultStorage: TypeAlias = str | os.PathLike[str]


class Keeping(NamedTuple):
    """Whether and where a task's results are stored.

    Attributes:
        persist: True stores results and fails a run whose result cannot be stored; False keeps them in memory
            only; None stores them, with a warning if one cannot be stored.
        place: The storage for results too large to be kept in the run's state; None means that of the
            settings.
    """

    persist: bool | None = None
    place: str | None = None

    def within(self, flow: Keeping) -> Keeping:
        """Return these options with the flow's storage, if the task has none of its own."""
        return self if self.place or not flow.place else self._replace(place=flow.place)


AS_USUAL = Keeping()


def checked_keeping(owner: str, persist: object, storage: object) -> Keeping:
    """Return the options ``persist_result`` and ``result_storage`` after checking them.

    Raises:
        TypeError: ``persist_result`` is neither True, False nor None.
        ValueError: ``result_storage`` is neither a directory nor a URL.
    """
    if persist is None and storage is None:
        return AS_USUAL
    return Keeping(checked_choice("persist_result", owner, persist), _checked_storage(owner, storage))


def _checked_storage(owner: str, storage: object) -> str | None:
    if storage is None:
        return None
    from clearway._results.known_storages import register_place  # noqa: PLC0415 - few tasks have a storage of their own

    try:
        place = checked_place(storage)
    except ValueError as error:
        raise ValueError(f"result_storage of {owner} is {storage!r}; it must be {error}") from None
    register_place(place)  # so that this process may read results from it, even before the task runs
    return place
