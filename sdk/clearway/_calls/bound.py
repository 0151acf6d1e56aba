"""Flows and tasks that are methods; ``self``, or the class, is the first argument of each call."""

from __future__ import annotations

from collections.abc import Callable
from types import MethodType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from clearway._definition.base import FlowDefinition, TaskDefinition

if TYPE_CHECKING:
    from typing import Self

D = TypeVar("D", bound=FlowDefinition | TaskDefinition)


class Bound(Generic[D]):
    """A flow or task accessed through an instance or a class, which becomes the first argument of its calls.

    It has all attributes of the flow or task. The instance is one of the run's parameters, so a cache key
    computed from the parameters depends on the instance too.
    """

    def __init__(self, bound: D, owner: object) -> None:
        self._bound = bound
        self._owner = owner
        self.__doc__ = bound.__doc__

    @property
    def fn(self) -> Callable[..., Any]:
        """The method itself: ``self.my_task.fn(...)`` calls it without orchestration."""
        return MethodType(self._bound.fn, self._owner)

    @property
    def __wrapped__(self) -> Callable[..., Any]:  # so that ``inspect.signature`` leaves ``self`` out
        return self.fn

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Run the flow or task; see ``Flow.__call__`` and ``Task.__call__``."""
        return self._bound(self._owner, *args, **kwargs)

    def with_options(self, **options: Any) -> Self:
        """Return the same method with other options; see ``Task.with_options``."""
        kind: Any = type(self)
        changed: Self = kind(self._bound.with_options(**options), self._owner)
        return changed

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name not in vars(self._bound):  # such as the hooks of ``copy``
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(self._bound, name)

    def __eq__(self, other: object) -> bool:
        """Return whether both are the same method of the same instance, as Python's methods compare."""
        return isinstance(other, Bound) and other._bound is self._bound and other._owner is self._owner

    def __hash__(self) -> int:
        return hash((id(self._bound), id(self._owner)))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._bound, self._owner)

    def __repr__(self) -> str:
        return f"<{self._bound!r} of {self._owner!r}>"


class BoundFlow(Bound[FlowDefinition]):
    """A flow that is a method."""


class BoundTask(Bound[TaskDefinition]):
    """A task that is a method."""

    def submit(self, /, *args: Any, **kwargs: Any) -> Any:
        """Start the task without waiting for it; see ``Task.submit``."""
        return self._bound.submit(self._owner, *args, **kwargs)

    def map(self, /, *args: Any, **kwargs: Any) -> Any:
        """Submit the task once for each element of its iterable arguments; see ``Task.map``."""
        from clearway._definition.annotations import unmapped  # noqa: PLC0415 - most tasks are not methods

        return self._bound.map(unmapped(self._owner), *args, **kwargs)
