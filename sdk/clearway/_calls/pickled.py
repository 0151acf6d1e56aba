"""Flows and tasks as ``pickle`` and ``copy`` see them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, SupportsIndex

if TYPE_CHECKING:
    from typing import Self


class Pickled:
    """A flow or task that is pickled by reference if it can be imported, as functions are.

    One that cannot be imported, such as one defined in ``__main__`` or within a function, is pickled with its
    code by cloudpickle.
    """

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:
        from clearway._execution.workers.pickling import reduced  # noqa: PLC0415 - loads cloudpickle

        return reduced(self)

    def __copy__(self) -> Self:
        made = object.__new__(type(self))
        vars(made).update(vars(self))
        return made

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self  # as functions do
