"""What a task or flow wants done with its results: kept or not, and where."""

from __future__ import annotations

import os
from typing import NamedTuple, TypeAlias

from clearway._definition.option_checks import checked_choice
from clearway._settings.paths import checked_place

ResultStorage: TypeAlias = str | os.PathLike[str]


class Keeping(NamedTuple):
    """What a task wants done with its results.

    Attributes:
        persist: True keeps them and fails the run where that cannot be, False keeps them in memory only, None
            keeps them and warns where that cannot be.
        place: The storage of those that are too large to travel within the state; None for that of the
            settings.
    """

    persist: bool | None = None
    place: str | None = None

    def within(self, flow: Keeping) -> Keeping:
        """Return the same, with the storage of the flow where the task has none of its own."""
        return self if self.place or not flow.place else self._replace(place=flow.place)


AS_USUAL = Keeping()


def checked_keeping(owner: str, persist: object, storage: object) -> Keeping:
    """Return what a task wants done with its results.

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
    register_place(place)  # its results are read too, also before it has run
    return place
