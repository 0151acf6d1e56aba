"""Hooks: functions that users have called when a run enters a state."""

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
        hooks: By the option that names the event, such as ``on_failure``; events without hooks are left out.
    """

    kind: ClassVar[str]
    name: str
    hooks: dict[str, list[Callable[..., Any]]]

    def _take_hooks(self, given: Mapping[str, Iterable[Callable[..., Any]] | None]) -> None:
        """Take the hooks that are given by event.

        Raises:
            TypeError: They are no list of functions.
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
        """Return the hooks to be called when a run enters a state."""
        return self.hooks.get(_EVENT_OF.get(state.type, ""), [])

    def on_completion(self, hook: H) -> H:
        """Have a function called when a run completed: ``@my_task.on_completion``. Returns the function."""
        return self._add_hook("on_completion", hook)

    def on_failure(self, hook: H) -> H:
        """Have a function called when a run failed, with no retry left. Returns the function."""
        return self._add_hook("on_failure", hook)

    def on_running(self, hook: H) -> H:
        """Have a function called when a run enters Running, at each attempt. Returns the function."""
        return self._add_hook("on_running", hook)


class TaskHooks(Hooked):
    """The hooks of a task; each is called with the task, the run (``schemas.TaskRun``) and the state."""

    kind = "task"


class FlowHooks(Hooked):
    """The hooks of a flow; each is called with the flow, the run (``schemas.FlowRun``) and the state."""

    kind = "flow"

    def on_cancellation(self, hook: H) -> H:
        """Have a function called when a run was cancelled. Returns the function."""
        return self._add_hook("on_cancellation", hook)

    def on_crashed(self, hook: H) -> H:
        """Have a function called when a run was interrupted and its process lives. Returns the function."""
        return self._add_hook("on_crashed", hook)
