"""Hooks: user functions that are called when a run enters a state."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, TypeVar

from clearway.states import StateType

if TYPE_CHECKING:
    from clearway.states import State

H = TypeVar("H", bound=Callable[..., Any])

TaskHook: TypeAlias = Callable[..., Any]
"""``(task, task_run, state)``, sync or async."""

FlowHook: TypeAlias = Callable[..., Any]
"""``(flow, flow_run, state)``, sync or async."""

_EVENT_OF = {
    StateType.RUNNING: "on_running",
    StateType.COMPLETED: "on_completion",
    StateType.FAILED: "on_failure",
    StateType.CANCELLED: "on_cancellation",
    StateType.CRASHED: "on_crashed",
}


class Hooked:
    """A flow or task that has hooks.

    Attributes:
        name: The flow's or task's name.
        hooks: The lists of hooks by option, such as ``on_failure``; options without hooks are left out.
    """

    kind: ClassVar[str]
    name: str
    hooks: dict[str, list[Callable[..., Any]]]

    def _take_hooks(self, given: Mapping[str, Iterable[Callable[..., Any]] | None]) -> None:
        """Check and set the hooks of each option.

        Raises:
            TypeError: An option is not a list of functions.
        """
        self.hooks = {}
        for event, hooks in given.items():
            if hooks is None:
                continue
            if callable(hooks) or isinstance(hooks, str) or not isinstance(hooks, Iterable):
                raise TypeError(
                    f"{event} of the {self.kind} {self.name!r} is {hooks!r}; it must be a list of "
                    f"functions, such as {event}=[tell]"
                )
            for hook in hooks:
                self._add_hook(event, hook)

    def _add_hook(self, event: str, hook: H) -> H:
        if not callable(hook):
            raise TypeError(
                f"{event} of the {self.kind} {self.name!r} has {hook!r}; a hook must be a function of "
                f"({self.kind}, {self.kind}_run, state)"
            )
        self.hooks.setdefault(event, []).append(hook)
        return hook

    def hooks_for(self, state: State[Any]) -> list[Callable[..., Any]]:
        """Return the hooks to call when a run enters ``state``."""
        return self.hooks.get(_EVENT_OF.get(state.type, ""), [])

    def on_completion(self, hook: H) -> H:
        """Register a hook for when a run completes, as a decorator: ``@my_task.on_completion``."""
        return self._add_hook("on_completion", hook)

    def on_failure(self, hook: H) -> H:
        """Register a hook for when a run fails with no retry left, as a decorator."""
        return self._add_hook("on_failure", hook)

    def on_running(self, hook: H) -> H:
        """Register a hook for when a run enters Running, at each attempt, as a decorator."""
        return self._add_hook("on_running", hook)


class TaskHooks(Hooked):
    """The hooks of a task; each is called with the task, the run (``schemas.TaskRun``) and the state."""

    kind = "task"


class FlowHooks(Hooked):
    """The hooks of a flow; each is called with the flow, the run (``schemas.FlowRun``) and the state."""

    kind = "flow"

    def on_cancellation(self, hook: H) -> H:
        """Register a hook for when a run is cancelled, as a decorator."""
        return self._add_hook("on_cancellation", hook)

    def on_crashed(self, hook: H) -> H:
        """Register a hook for when a run is interrupted but its process is alive, as a decorator."""
        return self._add_hook("on_crashed", hook)
