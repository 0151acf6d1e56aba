"""What a task run was called with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clearway._execution.inputs.run_inputs import NO_INPUTS, RunInputs
from clearway._execution.inputs.shared import NOT_SHARED, SharedArguments

if TYPE_CHECKING:
    from clearway._definition.base import TaskDefinition
    from clearway._definition.signature import CallShape


class Given:
    """What a task run was called with, until it has ended.

    Attributes:
        parameters: The arguments by parameter.
        shape: How the call gave them, where that makes a difference.
        tags: The task's, and those that were in force when it was called.
        inputs: What of the arguments comes from upstream.
        shared: Those of the arguments that all runs of a map are given.
        cache_key: Under which its result is found by others; empty where it is not cached.
        refreshes_cache: Whether it is not served from the cache, and replaces what that has.
    """

    __slots__ = ("cache_key", "inputs", "parameters", "refreshes_cache", "shape", "shared", "tags")

    def __init__(
        self,
        task: TaskDefinition,
        parameters: dict[str, Any],
        shape: CallShape | None,
        tags: frozenset[str],
        inputs: RunInputs,
        shared: SharedArguments = NOT_SHARED,
    ) -> None:
        self.parameters = parameters
        self.shape = shape
        self.tags = tags
        self.inputs = inputs
        self.shared = shared
        self.cache_key = ""
        self.refreshes_cache = task.cache_key_fn is not None and task.refreshes_cache()

    def resolve(self) -> None:
        """Put the results of the inputs in their place.

        Raises:
            MissingResult: A result is gone, damaged or not trusted.
            UnreadableResult: One cannot be read at present.
        """
        if self.inputs.to_resolve:
            self.parameters = self.inputs.resolved(self.parameters)

    def let_go(self) -> None:
        """Let go of the arguments, which may be large."""
        self.parameters = {}
        self.inputs = NO_INPUTS
        self.shared = NOT_SHARED
