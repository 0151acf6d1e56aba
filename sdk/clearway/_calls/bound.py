"""Tasks that are methods: ``self``, or the class, becomes the first argument of each call."""

from __future__ import annotations

import enum
from collections.abc import Callable
from types import MethodType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clearway._calls.task_calls import TaskCalls


class Binding(enum.Enum):
    """What a task that is an attribute of a class gives its function first."""

    INSTANCE = "self"
    CLASS = "cls"
    NOTHING = ""


def unwrapped(fn: Any) -> tuple[Any, Binding]:
    """Return the function of a static or class method, and what it is given first."""
    if isinstance(fn, staticmethod):
        return fn.__func__, Binding.NOTHING
    if isinstance(fn, classmethod):
        return fn.__func__, Binding.CLASS
    return fn, Binding.INSTANCE


class BoundTask:
    """A task as an attribute of an instance or a class, which is the first argument of its calls.

    It has all attributes of the task. The instance is one of the run's parameters, so a key made of the
    parameters is a key of the instance too.
    """

    def __init__(self, task: TaskCalls[..., Any], owner: object) -> None:
        self._bound = task
        self._owner = owner

    @property
    def fn(self) -> Callable[..., Any]:
        """The method itself: ``self.my_task.fn(...)`` calls it without orchestration."""
        return MethodType(self._bound.fn, self._owner)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the task; see ``Task.__call__``."""
        return self._bound(self._owner, *args, **kwargs)

    def submit(self, *args: Any, **kwargs: Any) -> Any:
        """Start the task, and go on while it runs; see ``Task.submit``."""
        return self._bound.submit(self._owner, *args, **kwargs)

    def map(self, *args: Any, **kwargs: Any) -> Any:
        """Submit the task once for each element of its iterable arguments; see ``Task.map``."""
        from clearway._definition.annotations import unmapped  # noqa: PLC0415 - most tasks are no methods

        return self._bound.map(unmapped(self._owner), *args, **kwargs)

    def with_options(self, **options: Any) -> BoundTask:
        """Return the same method with other options; see ``Task.with_options``."""
        return BoundTask(self._bound.with_options(**options), self._owner)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bound, name)

    def __repr__(self) -> str:
        return f"<{self._bound!r} of {self._owner!r}>"
